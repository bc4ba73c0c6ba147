package s3

import "strings"

// Capabilities is what a bucket was seen to do when it was probed at start, not
// what its vendor says.
type Capabilities struct {
	ConditionalPut     bool // If-None-Match: * refuses a second object under a key
	ConditionalReplace bool // If-Match refuses to replace another object than named
	ChecksumSHA256     bool // a body with another SHA-256 than announced is refused
	Versioning         bool // an overwritten object stays as an older version
	ObjectLock         bool // objects can be locked against deletion
}

// String lists each capability in words, for the operator.
func (c Capabilities) String() string {
	var b strings.Builder
	for i, line := range []struct {
		name string
		has  bool
	}{
		{"conditional put", c.ConditionalPut},
		{"conditional replace", c.ConditionalReplace},
		{"sha256 checked", c.ChecksumSHA256},
		{"versioning", c.Versioning},
		{"object lock", c.ObjectLock},
	} {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(line.name)
		if line.has {
			b.WriteString(" yes")
		} else {
			b.WriteString(" no")
		}
	}
	return b.String()
}
