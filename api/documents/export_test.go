package documents

import (
	"io"
	"mime/multipart"

	"medvault/vault"
)

// ReadForm reads a form and then its file, as the vault would: the upload, the bytes
// it was given, whether they were streamed, and why the form or the file failed.
func ReadForm(boundary string, body io.Reader, hold int) (up vault.Upload, file []byte, streamed bool, err error) {
	u, err := readForm(multipart.NewReader(unended(io.NopCloser(body)), boundary), hold)
	if err != nil {
		return vault.Upload{}, nil, false, err
	}
	file, err = io.ReadAll(u.Body)
	if broken := u.broken(); broken != nil {
		err = broken
	}
	return u.Upload, file, u.rest != nil, err
}
