package hl7

import (
	"bufio"
	"errors"
	"io"
)

// The frame of the Minimal Lower Layer Protocol (MLLP): 0x0B, the message, 0x1C 0x0D.
const (
	frameBegin = 0x0B
	frameEnd   = 0x1C
	frameCR    = 0x0D
)

// maxMessage bounds a message in bytes.
const maxMessage = 1 << 20

var errFrame = errors.New("no MLLP frame, or a message over 1 MiB")

// readFrame reads the next message. io.EOF is the end between two messages; anything but
// a frame is errFrame, and then the connection is of no more use.
func readFrame(r *bufio.Reader) ([]byte, error) {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		if b == frameBegin {
			break
		}
		if b != '\r' && b != '\n' {
			return nil, errFrame
		}
	}
	var body []byte
	for {
		b, err := r.ReadByte()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case err != nil:
			return nil, err
		case b == frameBegin || len(body) == maxMessage:
			return nil, errFrame
		case b != frameEnd:
			body = append(body, b)
			continue
		}
		if b, err = r.ReadByte(); err == nil && b == frameCR {
			return body, nil
		}
		return nil, errors.Join(errFrame, err)
	}
}

// frame is a message in its frame.
func frame(body []byte) []byte {
	out := make([]byte, 0, len(body)+3)
	out = append(out, frameBegin)
	out = append(out, body...)
	return append(out, frameEnd, frameCR)
}
