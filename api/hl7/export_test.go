package hl7

import (
	"bufio"
	"io"
	"time"
)

// Patients is what PID-3 of a message names.
func Patients(raw []byte, issuers map[string]string) ([][2]string, error) {
	m, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return (&Sender{Issuers: issuers}).patients(m, "own"), nil
}

// Answer reads a message, says what it says and acknowledges it, as far as that needs no
// vault.
func Answer(raw []byte, now time.Time) []byte {
	m, err := parse(raw)
	strangers := 0
	if err == nil {
		var said told
		s := &Server{cfg: Config{Zone: time.UTC, Longest: time.Hour, Order: time.Hour}}
		said, err = s.news(m, &Sender{StaffAuthority: "STAFF"}, now)
		strangers = said.strangers
	}
	return acknowledge(m, err, strangers, now, "id")
}

// ReadFrame and Frame are the framing of MLLP.
func ReadFrame(r io.Reader) ([]byte, error) { return readFrame(bufio.NewReader(r)) }

func Frame(b []byte) []byte { return frame(b) }
