package s3

import (
	"errors"
	"fmt"
	"net"
	"net/url"
)

// ParseEndpoint reads the URL of an S3 service: https://host[:port], or http://
// when insecure is set and the host is this machine. The error never quotes the
// URL, which may have been given with credentials in it.
func ParseEndpoint(endpoint string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("endpoint: not a URL")
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("endpoint: want https://host[:port] and nothing else")
	}
	switch u.Scheme {
	case "https":
		return u, nil
	case "http":
		if insecure && loopback(u.Hostname()) {
			return u, nil
		}
		return nil, errors.New("endpoint: plain http is allowed for loopback only, and only when insecure is set")
	}
	return nil, fmt.Errorf("endpoint: scheme %q, want https", u.Scheme)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
