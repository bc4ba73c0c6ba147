//go:build !race

package dicom_test

const raced = false // see race_test.go
