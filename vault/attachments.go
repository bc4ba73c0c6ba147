package vault

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Attachments say what becomes of files found inside a document.
type Attachments string

const (
	AttachmentsStore  Attachments = "store"  // those of a kind that the vault takes become documents of their own
	AttachmentsRefuse Attachments = "refuse" // the document's de-identified view says attachment-refused
)

const (
	// originAttachment is the origin of storing one; the leaf names the document it lies in.
	originAttachment = "attachment"

	// attachmentRefused is in the reasons of a document whose attachments, or some of
	// them, are nowhere but in its original.
	attachmentRefused = "attachment-refused"

	// maxNesting bounds how deep attachments may lie in attachments.
	maxNesting = 3
)

// refuseAttachments notes on a document's view that files in it were not stored, before
// the view is sealed.
func (v *Vault) refuseAttachments(in *incoming, now *imaging.Scrubbed) {
	refused := now.Facts.Attachments > len(now.Attachments)
	for _, a := range now.Attachments {
		refused = refused || !v.takesAttachment(in, a)
	}
	if refused {
		now.Report.Reasons = append(slices.Clone(now.Report.Reasons), attachmentRefused)
		slices.Sort(now.Report.Reasons)
	}
}

// takesAttachment says whether a file inside a document becomes one of its own.
func (v *Vault) takesAttachment(in *incoming, a imaging.Attachment) bool {
	kind, known := imaging.Sniff(a.Data[:min(len(a.Data), 1024)])
	return v.cfg.Attachments != AttachmentsRefuse && known && v.cfg.Scrubbers[record.Kind(kind)] != nil && in.nesting < maxNesting
}

// storeAttachments stores what lies in a document as documents of the same patient. It is
// done before the document's view is, so that a crash between the two makes it happen
// again; the same bytes are there once. What is damaged, or another patient's, stays in
// the original alone.
func (v *Vault) storeAttachments(ctx context.Context, in *incoming, found []imaging.Attachment) error {
	for _, a := range found {
		if !v.takesAttachment(in, a) {
			continue
		}
		err := v.storeAttachment(ctx, in, a)
		if why := new(record.Refusal); errors.As(err, &why) && why.Kind != record.ErrUnavailable {
			v.cfg.Log.Warn("attachment not stored", "of", in.supersedes, "code", why.Code)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) storeAttachment(ctx context.Context, parent *incoming, a imaging.Attachment) error {
	self := v.self()
	self.Issuer = parent.identity.Issuer
	up := Upload{Body: bytes.NewReader(a.Data), PatientID: parent.identity.PatientID, Issuer: parent.identity.Issuer, Title: a.Name,
		BirthDate: parent.birth, PatientName: parent.patientName}
	in, err := v.receive(self, up)
	if err != nil {
		return err
	}
	in.by, in.origin, in.parent, in.title = parent.by, originAttachment, parent.supersedes, a.Name
	in.nesting = parent.nesting + 1
	_, err = v.putReceived(ctx, self, in)
	return err
}

// nestingOf counts the documents that a document lies in.
func (v *Vault) nestingOf(ctx context.Context, parent record.ObjectID) (n int, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		for n = 0; parent != "" && n < maxNesting; n++ {
			now, err := tx.Current(ctx, parent)
			if err != nil {
				return notFound(err)
			}
			r, err := tx.Report(ctx, now)
			if errors.Is(err, catalog.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			parent = r.Parent
		}
		return nil
	})
	return n, err
}

// manifestOf opens what was taken out of a document and where it stood.
func (o *object) manifestOf(ctx context.Context, into any) error {
	return readPart(ctx, o, envelope.Manifest, into)
}
