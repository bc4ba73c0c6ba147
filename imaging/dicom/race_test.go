//go:build race

package dicom_test

// raced tells that the race detector is in, under which all takes ten times as long:
// what goes through one goroutine a thousand times then takes a sample. scripts/test
// runs the whole without it.
const raced = true
