//go:build race

package main

// raced tells that the race detector is in, under which all takes ten times as long.
const raced = true
