//go:build !race

package vault_test

const (
	raced = false // see race_test.go
	apart = 1
)
