package documents

import (
	"io"
	"mime/multipart"

	"golang.org/x/sync/semaphore"

	"medvault/vault"
)

// ReadForm reads a form and then its file, as the vault would: the upload, the bytes
// it was given, whether they were streamed, and why the form or the file failed.
func ReadForm(boundary string, body io.Reader, hold int) (up vault.Upload, file []byte, streamed bool, err error) {
	h := &holding{room: semaphore.NewWeighted(1 << 30), most: hold}
	defer h.release()
	u, err := readForm(multipart.NewReader(unended(io.NopCloser(body)), boundary), h)
	if err != nil {
		return vault.Upload{}, nil, false, err
	}
	file, err = io.ReadAll(u.Body)
	return u.Upload, file, u.rest != nil, err
}
