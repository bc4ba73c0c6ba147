package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"medvault/vault"
	"medvault/vault/record"
)

// Instance names what Study hands out, as the view shows it.
type Instance struct {
	Study, Series, Instance string
	TransferSyntax          string
}

// Study fetches a study, series or instance as it is stored and calls each with one
// document after the other; what each leaves unread is skipped. A document's reader
// fails, never ends cleanly, when the answer was cut. Partial: some documents exist
// that cannot be given now.
func (c *Client) Study(ctx context.Context, ref vault.Ref, each func(Instance, io.Reader) error) (partial bool, err error) {
	path := "/dicomweb/studies/" + url.PathEscape(ref.Study)
	if ref.Series != "" {
		path += "/series/" + url.PathEscape(ref.Series)
	}
	if ref.Instance != "" {
		path += "/instances/" + url.PathEscape(ref.Instance)
	}
	resp, err := c.do(ctx, http.MethodGet, path, http.Header{"Accept": {`multipart/related; type="application/dicom"; transfer-syntax=*`}}, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close() // not finish: who gives up does not want the rest
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/related" {
		return false, fmt.Errorf("GET %s: the answer is not multipart/related", path)
	}
	parts := multipart.NewReader(unended(bufio.NewReaderSize(resp.Body, 64<<10)), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return resp.StatusCode == http.StatusPartialContent, nil
		}
		if err != nil {
			return false, fmt.Errorf("GET %s: the answer was cut: %w", path, err)
		}
		var i Instance
		i.Study, i.Series, i.Instance = uidsOf(p.Header.Get("Content-Location"))
		if _, params, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err == nil {
			i.TransferSyntax = params["transfer-syntax"]
		}
		if err := each(i, p); err != nil {
			return false, err
		}
	}
}

// unended makes the end of r an error. multipart.Reader stops at the closing boundary
// and reads no further; an answer that was cut among the headers of a part it would
// otherwise take for a whole one. The line break is for closing boundaries without.
func unended(r io.Reader) io.Reader {
	end, w := io.Pipe()
	w.CloseWithError(io.ErrUnexpectedEOF)
	return io.MultiReader(r, strings.NewReader("\r\n"), end)
}

// Document writes a document to w and returns its media type. It fails unless the
// whole has the SHA-256 that the vault names for it; then w may hold a part.
func (c *Client) Document(ctx context.Context, id record.ObjectID, w io.Writer) (mediaType string, err error) {
	path := "/api/v1/documents/" + url.PathEscape(string(id))
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), resp.Body); err != nil {
		return "", fmt.Errorf("GET %s: %w", path, err)
	}
	got := "sha-256=:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)) + ":"
	if want := resp.Header.Get("Repr-Digest"); want != "" && want != got {
		return "", fmt.Errorf("GET %s: what arrived has another SHA-256 than the vault names", path)
	}
	return resp.Header.Get("Content-Type"), nil
}

// StudyInfo is one study of a search. What the view does not show is "".
type StudyInfo struct {
	Study       string   `json:"study"`
	PatientID   string   `json:"patientId,omitempty"`
	PatientName string   `json:"patientName,omitempty"`
	BirthDate   string   `json:"birthDate,omitempty"`
	Date        string   `json:"date,omitempty"`
	Description string   `json:"description,omitempty"`
	Modalities  []string `json:"modalities,omitempty"`
	Series      int      `json:"series"`
	Instances   int      `json:"instances"`
}

// pageSize is how many studies are asked for at once.
const pageSize = 500

// Studies searches by DICOM keywords (see vault.Query) and returns all pages.
func (c *Client) Studies(ctx context.Context, match map[string]string) ([]StudyInfo, error) {
	query := url.Values{"includefield": {"StudyDescription"}, "limit": {strconv.Itoa(pageSize)}}
	for keyword, value := range match {
		query.Set(keyword, value)
	}
	var all []StudyInfo
	for offset := 0; ; offset += pageSize {
		query.Set("offset", strconv.Itoa(offset))
		page, more, err := c.studies(ctx, query)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); !more {
			return all, nil
		}
	}
}

func (c *Client) studies(ctx context.Context, query url.Values) (page []StudyInfo, more bool, err error) {
	const path = "/dicomweb/studies"
	resp, err := c.do(ctx, http.MethodGet, path+"?"+query.Encode(), http.Header{"Accept": {"application/dicom+json"}}, nil)
	if err != nil {
		return nil, false, err
	}
	defer finish(resp)
	for _, warning := range resp.Header.Values("Warning") {
		more = more || strings.Contains(warning, "additional results")
	}
	if resp.StatusCode == http.StatusNoContent {
		return nil, more, nil
	}
	var results []dataset
	if err := json.NewDecoder(resp.Body).Decode(&results); err != nil {
		return nil, false, fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	for _, d := range results {
		page = append(page, StudyInfo{
			Study: d.text("0020000D"), PatientID: d.text("00100020"), PatientName: d.text("00100010"),
			BirthDate: d.text("00100030"), Date: d.text("00080020"), Description: d.text("00081030"),
			Modalities: d.texts("00080061"), Series: count(d.text("00201206")), Instances: count(d.text("00201208")),
		})
	}
	return page, more, nil
}

// count is a number of related series or instances; unknown is 0.
func count(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
