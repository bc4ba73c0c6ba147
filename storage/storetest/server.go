package storetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Server is an S3 service to test against.
type Server struct{ Endpoint, Access, Secret string }

// Servers returns the S3 services of the environment, or skips the test.
func Servers(t testing.TB) []Server {
	t.Helper()
	endpoints := os.Getenv("MEDVAULT_TEST_S3")
	if endpoints == "" {
		t.Skip("set MEDVAULT_TEST_S3, MEDVAULT_TEST_S3_ACCESS and MEDVAULT_TEST_S3_SECRET (scripts/test starts three servers)")
	}
	var servers []Server
	for endpoint := range strings.SplitSeq(endpoints, ",") {
		servers = append(servers, Server{endpoint, os.Getenv("MEDVAULT_TEST_S3_ACCESS"), os.Getenv("MEDVAULT_TEST_S3_SECRET")})
	}
	return servers
}

// BucketName returns a name no other test uses.
func BucketName() string { return fmt.Sprintf("test-%x", Bytes(10)) }
