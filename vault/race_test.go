//go:build race

package vault_test

// raced tells that the race detector is in, under which all takes ten times as long:
// real files then take a sample. scripts/test runs the whole without it.
const raced = true

// apart are the points at which a process is killed from each other: under the race
// detector every third, otherwise each.
const apart = 3
