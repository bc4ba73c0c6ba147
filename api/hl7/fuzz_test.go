package hl7_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"medvault/api/hl7"
)

// Whatever comes in, the answer is a message of one MSH and one MSA that can itself be
// read, and holds nothing of PID.
func FuzzMessage(f *testing.F) {
	for _, s := range [][]byte{
		message("1", "ADT^A01", "PID|1||A1^^^MRN~A2||FAMILY", pv1("1^F^^^^^^^STAFF", `""`, "V1", "20260301", "")),
		message("2", "ORM^O01", "PID|1||A1", "ORC|NW|O1", "OBR|1|O1||||||||||||||1"),
		message(`a\F\b`, "ADT^A03", "PID|||A1", "ROL||DE|x|1"),
		[]byte("MSH|^~\\|a|b\rPID|"), []byte("MSH*:+/&*a*b*c*d*20260101**ADT:A08*9*P*2.3"), []byte("MSH|^~\\&"), nil,
		{'M', 'S', 'H', '|', '^', '~', '\\', '&', '|', 0x81, '|', 0x81, 0x30, '|'},
	} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		reply := hl7.Answer(raw, now)
		lines := strings.Split(strings.TrimSuffix(string(reply), "\r"), "\r")
		if len(lines) < 2 || len(lines) > 3 || !strings.HasPrefix(lines[0], `MSH|^~\&|`) || !strings.HasPrefix(lines[1], "MSA|A") || bytes.ContainsAny(reply, "\x0b\x1c\n") {
			t.Errorf("%q is answered %q", raw, reply)
		}
		if _, err := hl7.Patients(reply, nil); err != nil {
			t.Errorf("the answer %q cannot be read: %v", reply, err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	for _, s := range []string{"\x0bMSH|\x1c\r", "\r\n\x0ba\x1c\r\x0bb\x1c\r", "\x0ba\x1cb", "\x0b\x0b\x1c\r", "x", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := hl7.ReadFrame(bytes.NewReader(raw))
		if err != nil {
			return
		}
		again, err := hl7.ReadFrame(bytes.NewReader(hl7.Frame(body)))
		if err != nil || !bytes.Equal(again, body) {
			t.Errorf("%q is read as %q, and that as %q, %v", raw, body, again, err)
		}
	})
}
