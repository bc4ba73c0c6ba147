package rights

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Disclosures is the answer to GET disclosures, the newest first.
type Disclosures struct {
	Disclosures []vault.Disclosure `json:"disclosures"`
}

func (f *face) disclosures(c *gin.Context) {
	limit, err := answer.Number(c, "limit")
	if err != nil {
		answer.Error(c, err)
		return
	}
	list, err := f.vault.Disclosures(c.Request.Context(), answer.Actor(c), record.ObjectID(c.Query("after")), limit)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Disclosures{list})
}

const wantDisclosure = `{"patient": "p…", "recipient": "…", "basis": "treating-hospital", "reference": "…", "documents": ["…"]}; basis is treating-hospital, statute, court-order or consent`

func (f *face) propose(c *gin.Context) {
	var body vault.NewDisclosure
	if err := answer.Body(c.Request.Body, &body, wantDisclosure); err != nil {
		answer.Error(c, err)
		return
	}
	proposed, err := f.vault.ProposeDisclosure(c.Request.Context(), answer.Actor(c), body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(proposed.ID))
	answer.JSON(c, http.StatusCreated, proposed)
}

func (f *face) approve(c *gin.Context) { f.settle(c, true) }
func (f *face) refuse(c *gin.Context)  { f.settle(c, false) }

func (f *face) settle(c *gin.Context, approve bool) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	decided, err := f.vault.DecideDisclosure(c.Request.Context(), answer.Actor(c), id, approve)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, decided)
}

// give streams the originals of an approved disclosure as a ZIP file that ends with a
// manifest of their SHA-256. It is a POST: every time is an act of its own.
func (f *face) give(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	given, err := f.vault.GiveDisclosure(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Content-Type", "application/zip")
	c.Header("Content-Disposition", `attachment; filename="disclosure-`+string(id)+`.zip"`)
	c.Status(http.StatusOK)
	if err := writeDisclosed(c, given); err != nil {
		c.Error(err)
		panic(http.ErrAbortHandler) // a clean end would make half a file look whole
	}
}

// disclosedFile is a line of manifest.json.
type disclosedFile struct {
	File     string          `json:"file"`
	Document record.ObjectID `json:"document"`
	Size     int64           `json:"size"`
	SHA256   string          `json:"sha256"`
}

func writeDisclosed(c *gin.Context, given *vault.Disclosed) error {
	z := zip.NewWriter(c.Writer)
	var files []disclosedFile
	for i, h := range given.Documents {
		extension := "dcm"
		if h.Kind == record.KindPDF {
			extension = "pdf"
		}
		file := disclosedFile{File: fmt.Sprintf("%05d.%s", i+1, extension), Document: h.ID, Size: h.Size, SHA256: h.SHA256}
		w, err := z.CreateHeader(&zip.FileHeader{Name: file.File, Method: zip.Store, Modified: time.Time{}})
		if err != nil {
			return err
		}
		if err := copyOriginal(c, w, h); err != nil {
			return fmt.Errorf("document %s: %w", h.ID, err)
		}
		files = append(files, file)
	}
	w, err := z.Create("manifest.json")
	if err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"disclosure": given.Disclosure.ID, "recipient": given.Disclosure.Recipient, "basis": given.Disclosure.Basis,
		"reference": given.Disclosure.Reference, "files": files}); err != nil {
		return err
	}
	return z.Close()
}

func copyOriginal(c *gin.Context, w io.Writer, h *vault.Handle) error {
	body, err := h.Reader(c.Request.Context())
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}
