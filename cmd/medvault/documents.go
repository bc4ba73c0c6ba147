package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/fhir"
	"medvault/imaging/ocr"
	"medvault/imaging/pdf"
	"medvault/imaging/report"
	"medvault/vault"
	"medvault/vault/record"
)

// DocumentsConfig says how reports and scans of paper are redacted, and what becomes of
// files found inside them.
type DocumentsConfig struct {
	Withhold    bool          `yaml:"withhold"`    // redact nothing: the views of reports and scans stay held
	Fonts       string        `yaml:"fonts"`       // directory; default /usr/share/fonts
	Cache       string        `yaml:"cache"`       // directory for compiled code, this user's alone; default none
	OCR         OCRConfig     `yaml:"ocr"`         // default deidentification.ocr
	OCRAlways   bool          `yaml:"ocrAlways"`   // read every page's pixels
	Memory      string        `yaml:"memory"`      // that one document may take, as 1536MiB, the default
	Timeout     time.Duration `yaml:"timeout"`     // for one document, OCR not counted; default 1m
	Scans       string        `yaml:"scans"`       // "review" (default) or "show"
	Attachments string        `yaml:"attachments"` // "store" (default) or "refuse"
}

func (d DocumentsConfig) check(found *checks) {
	for key, path := range map[string]string{"fonts": d.Fonts, "cache": d.Cache} {
		if path != "" {
			found.absolute("documents."+key, path)
		}
	}
	if d.OCR != (OCRConfig{}) {
		found.absolute("documents.ocr.program", d.OCR.Program)
	}
	if memory, err := parseBytes(d.Memory); err != nil || d.Memory != "" && memory < 256<<20 {
		found.add("documents.memory", "found %q, want at least 256MiB", d.Memory)
	}
	if d.Timeout < 0 {
		found.add("documents.timeout", "found %s, want a positive time", d.Timeout)
	}
	if d.Scans != "" {
		found.oneOf("documents.scans", d.Scans, "review", "show")
	}
	if d.Attachments != "" {
		found.oneOf("documents.attachments", d.Attachments, string(vault.AttachmentsStore), string(vault.AttachmentsRefuse))
	}
}

// reports says how reports are redacted; a gateway of content keys alone redacts nothing.
func (c *Config) reports() (report.Config, error) {
	d := c.Documents
	reports := report.Config{ShowScans: d.Scans == "show"}
	if d.Withhold || c.ContentOnly {
		return reports, nil
	}
	self, err := os.Executable()
	if err != nil {
		return reports, fmt.Errorf("documents: the process that opens PDFs: %w", err)
	}
	memory, err := parseBytes(d.Memory)
	if err != nil {
		return reports, fmt.Errorf("documents.memory: %w", err)
	}
	p := pdf.Config{Worker: []string{self, pdfWorker}, Fonts: d.Fonts, Cache: d.Cache, OCRAlways: d.OCRAlways, MemoryLimit: memory, Timeout: d.Timeout}
	read := d.OCR
	if read == (OCRConfig{}) {
		read = c.Deidentification.OCR
	}
	if read.Program != "" {
		p.OCR, err = ocr.New(ocr.Config{Program: read.Program, Languages: read.Languages, AtOnce: read.AtOnce, Timeout: time.Minute})
		if err != nil {
			return reports, fmt.Errorf("documents.ocr: %w", err)
		}
	}
	if reports.Redactor, err = pdf.NewRedactor(p); err != nil {
		return reports, fmt.Errorf("documents: %w", err)
	}
	return reports, nil
}

// documents takes what the configuration says of documents into the parts of a vault.
func (c *Config) documents(parts *vault.Config) error {
	images, err := c.Deidentification.scrubber()
	if err != nil {
		return err
	}
	reports, err := c.reports()
	if err != nil {
		return err
	}
	parts.Scrubbers = scrubbers(images, reports)
	parts.Attachments = vault.Attachments(c.Documents.Attachments)
	if reports.Redactor != nil {
		parts.RenderPage = reports.Page
	}
	return nil
}

// scrubbers are for every kind of document that is taken.
func scrubbers(images dicom.Scrubber, reports report.Config) map[record.Kind]imaging.Scrubber {
	return map[record.Kind]imaging.Scrubber{
		record.KindDICOM: report.NewImages(images, reports), record.KindPDF: report.New(reports), record.KindScan: report.NewScans(reports), record.KindFHIR: fhir.New(),
	}
}

// devDocuments reads scans where tesseract is installed, and keeps what is compiled for
// all dev vaults of this user.
func devDocuments() DocumentsConfig {
	var d DocumentsConfig
	if dir, err := os.UserCacheDir(); err == nil {
		d.Cache = dir + "/medvault/pdfium"
	}
	for _, program := range []string{"/usr/bin/tesseract", "/usr/local/bin/tesseract", "/opt/homebrew/bin/tesseract"} {
		for _, languages := range []string{"eng+chi_sim", "eng"} {
			if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
				continue
			}
			if _, err := ocr.New(ocr.Config{Program: program, Languages: languages}); err == nil {
				d.OCR = OCRConfig{Program: program, Languages: languages}
				return d
			}
		}
	}
	return d
}
