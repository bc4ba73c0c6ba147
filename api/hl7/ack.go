package hl7

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"medvault/api/answer"
	"medvault/vault/record"
)

// acknowledge writes the answer to a message (original mode): AA when what it says is
// committed or was before; AE when it may be sent again; AR when that is of no use. It
// names no patient and no person: of the message it holds MSH-3 to 6 and MSH-10 alone.
// m is nil for what could not be read. strangers is how many named people are unknown.
func acknowledge(m *message, err error, strangers int, now time.Time, id string) []byte {
	if m == nil {
		m = new(message)
	}
	in := m.first("MSH")
	echo := func(n int) string { return plainField(in.value(n)) }
	code, hl7, advice := "AA", "0", ""
	if err != nil {
		code, hl7, advice = verdict(err)
	}
	kind := "ACK"
	if event := plainField(in.part(in.repetitions(9)[0], 2, 1)); event != "" {
		kind += "^" + event + "^ACK"
	}
	charset := ""
	version := echo(12)
	if !strings.HasPrefix(version, "2.") {
		version = "2.5.1"
	}
	head := []string{"MSH", `^~\&`, echo(5), echo(6), echo(3), echo(4), now.Format("20060102150405-0700"), "", kind, id, "P", version, "", "", "", "", "", charset}
	if !ascii(strings.Join(head, "")) || !ascii(echo(10)) {
		head[17] = "UNICODE UTF-8"
	}
	lines := []string{strings.TrimRight(strings.Join(head, "|"), "|"), "MSA|" + code + "|" + echo(10)}
	switch {
	case err != nil:
		lines = append(lines, "ERR|||"+hl7+"^^HL70357|E|"+advice)
	case strangers > 0:
		lines = append(lines, "ERR|||204^^HL70357|W|unknown-clinician")
	}
	return []byte(strings.Join(lines, "\r") + "\r")
}

// verdict is MSA-1, a code of HL7 table 0357, and our own code.
func verdict(err error) (msa, hl7, code string) {
	own := new(refusal)
	switch {
	case errors.As(err, &own):
		if own.rejected {
			return "AR", own.hl7, own.code
		}
		return "AE", own.hl7, own.code
	case errors.Is(err, errNoMessage):
		return "AR", "100", "unreadable"
	case errors.Is(err, errCharset):
		return "AR", "102", "charset"
	case errors.Is(err, record.ErrNotFound):
		return "AE", "204", "unknown-patient"
	case errors.Is(err, record.ErrInvalid):
		return "AE", "204", answer.Code(err)
	case errors.Is(err, record.ErrDenied), errors.Is(err, record.ErrUnauthenticated):
		return "AR", "207", answer.Code(err)
	case errors.Is(err, record.ErrErased):
		return "AR", "204", answer.Code(err)
	}
	return "AE", "207", answer.Code(err)
}

// plainField is a value that cannot be taken for structure in the answer.
func plainField(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > 227 { // longest HD; MSH-10 has 199
		s = strings.ToValidUTF8(s[:227], "")
	}
	return strings.NewReplacer(`\`, `\E\`, "|", `\F\`, "^", `\S\`, "~", `\R\`, "&", `\T\`).Replace(s)
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
