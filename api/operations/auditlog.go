package operations

import (
	"archive/tar"
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
)

// auditExport answers with the whole log as a tar of C2SP tiles, whose last file is the
// checkpoint: an answer without it was cut.
func (f *face) auditExport(c *gin.Context) {
	out := tar.NewWriter(c.Writer)
	err := f.vault.ReadLog(c.Request.Context(), answer.Actor(c), func(name string, data []byte) error {
		if !c.Writer.Written() {
			c.Header("Content-Type", "application/x-tar")
			c.Status(http.StatusOK)
		}
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644}); err != nil {
			return err
		}
		_, err := out.Write(data)
		return err
	})
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		answer.Error(c, err) // breaks the connection once a byte is out
	}
}

// auditSnapshot brings the log and a manifest to every region now.
func (f *face) auditSnapshot(c *gin.Context) {
	if err := f.vault.ExportLog(c.Request.Context(), answer.Actor(c)); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}
