package aws_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"medvault/storage"
	"medvault/storage/aws"
)

// seen answers every request with 503 and remembers the first.
type seen struct {
	mu     sync.Mutex
	host   string
	header http.Header
}

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.header == nil {
		s.host, s.header = r.URL.Host, r.Header.Clone()
	}
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// TestEndpoints: each partition has its own names, which the region says.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		region    string
		pathStyle bool
		host      string
	}{
		{"eu-central-1", false, "bucket.s3.eu-central-1.amazonaws.com"},
		{"us-east-1", false, "bucket.s3.us-east-1.amazonaws.com"},
		{"cn-north-1", false, "bucket.s3.cn-north-1.amazonaws.com.cn"},
		{"cn-northwest-1", false, "bucket.s3.cn-northwest-1.amazonaws.com.cn"},
		{"cn-north-1", true, "s3.cn-north-1.amazonaws.com.cn"},
		{"us-gov-west-1", false, "bucket.s3.us-gov-west-1.amazonaws.com"},
	} {
		var s seen
		_, err := aws.New(t.Context(), aws.Config{Region: c.region, Bucket: "bucket", PathStyle: c.pathStyle, AccessKey: "access", SecretKey: "secret-secret", Transport: &s})
		if err != nil {
			t.Errorf("%s: New = %v", c.region, err)
		}
		if s.host != c.host {
			t.Errorf("%s: asks %s; want %s", c.region, s.host, c.host)
		}
		if scope := "/" + c.region + "/s3/aws4_request"; !strings.Contains(s.header.Get("Authorization"), scope) {
			t.Errorf("%s: not signed for %s", c.region, scope)
		}
	}
}

// TestCredentialChain: without a key in the configuration those of the environment are
// taken, with their session token, and without any nothing is sent.
func TestCredentialChain(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	cfg := aws.Config{Region: "cn-north-1", Bucket: "bucket"}

	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	var none seen
	cfg.Transport = &none
	if _, err := aws.New(t.Context(), cfg); err == nil || errors.Is(err, storage.ErrAway) {
		t.Errorf("New without any credentials = %v; want an error that waiting does not mend", err)
	}
	if none.header != nil {
		t.Error("a request was sent without credentials")
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "from-environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-secret")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	var some seen
	cfg.Transport = &some
	if _, err := aws.New(t.Context(), cfg); err != nil {
		t.Fatalf("New = %v", err)
	}
	if !strings.Contains(some.header.Get("Authorization"), "Credential=from-environment/") || some.header.Get("X-Amz-Security-Token") != "session" {
		t.Errorf("request headers %v; want the credentials of the environment", some.header)
	}
}
