package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"medvault/vault"
	"medvault/vault/record"
)

func newReviewsCommand(a *app) *cobra.Command {
	return newGroup("reviews", "documents whose de-identified view waits for a person",
		newReviewsListCommand(a), newReviewsShowCommand(a), newReviewsPreviewCommand(a), newReviewsReleaseCommand(a), newReviewsRefuseCommand(a))
}

func newReviewsListCommand(a *app) *cobra.Command {
	var at connection
	var q vault.ReviewQuery
	cmd := &cobra.Command{
		Use:   "list [--state open|refused]",
		Short: "list withheld documents, the newest first",
		Long:  "list shows what waits for a person to look at it, or with --state refused what a\nperson decided to keep withheld. Nothing in it names a patient but by token.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 0 {
				return usagef("--limit %d: want a number from 1, or 0 for all", q.Limit)
			}
			return a.listReviews(cmd.Context(), &at, q)
		},
	}
	cmd.Flags().StringVar(&q.State, "state", vault.ReviewOpen, "open or refused")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "at most so many (default: all)")
	at.addFlags(cmd, record.RoleReviewer)
	return cmd
}

func (a *app) listReviews(ctx context.Context, at *connection, q vault.ReviewQuery) error {
	from, err := at.open()
	if err != nil {
		return err
	}
	most := q.Limit
	all := vault.ReviewPage{Reviews: []vault.Review{}}
	for {
		page, err := from.Reviews(ctx, q)
		if err != nil {
			return err
		}
		all.Reviews = append(all.Reviews, page.Reviews...)
		if q.After, all.Next = page.Next, page.Next; q.After == "" || most > 0 && len(all.Reviews) >= most {
			break
		}
	}
	return a.print(all, func(w io.Writer) { table(w, reviewRows(all.Reviews)) })
}

func reviewRows(reviews []vault.Review) [][]string {
	rows := [][]string{{"OBJECT", "PATIENT", "KIND", "MODALITY", "FRAMES", "CODE", "REASONS", "SINCE"}}
	for _, r := range reviews {
		rows = append(rows, []string{string(r.Object), string(r.Patient), r.Kind, r.Modality, strconv.Itoa(r.Frames), r.Code,
			strings.Join(r.Reasons, " "), r.Since.Local().Format(time.DateTime)})
	}
	return rows
}

func newReviewsShowCommand(a *app) *cobra.Command {
	var at connection
	cmd := &cobra.Command{
		Use:   "show OBJECT",
		Short: "show one withheld document, with its de-identified attributes",
		Args:  wantArgs(1, 1),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.showReview(cmd.Context(), &at, args[0]) },
	}
	at.addFlags(cmd, record.RoleReviewer)
	return cmd
}

func (a *app) showReview(ctx context.Context, at *connection, object string) error {
	id, err := record.ParseObjectID(object)
	if err != nil {
		return usagef("reviews show: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	r, err := from.Review(ctx, id)
	if err != nil {
		return err
	}
	return a.print(r, func(w io.Writer) {
		table(w, reviewRows([]vault.Review{r}))
		for _, m := range r.Suggest {
			fmt.Fprintf(w, "suggested mask: %s\n", maskText(m))
		}
		if d := r.Decided; d != nil {
			fmt.Fprintf(w, "%s by %s at %s: %s\n", r.State, printable(d.By), d.At.Local().Format(time.DateTime), printable(d.Reason))
		}
		fmt.Fprintf(w, "%s\n", printable(string(r.Attributes)))
	})
}

func newReviewsPreviewCommand(a *app) *cobra.Command {
	var at connection
	var o vault.PreviewOptions
	var masks []string
	var file string
	cmd := &cobra.Command{
		Use:     "preview OBJECT -o FILE",
		Short:   "draw a frame of a withheld document as PNG",
		Long:    "preview draws one frame with the suggested masks painted. Try others with --mask, or\nsee the picture as it is with --unmasked.",
		Example: "  medvault reviews preview 3f… -o look.png --mask 0,0,640,48",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Masks, err = parseMasks(masks); err != nil {
				return err
			}
			if file == "" {
				return usagef("reviews preview: give -o FILE")
			}
			return a.preview(cmd.Context(), &at, args[0], o, file)
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "file to write; required")
	cmd.Flags().IntVar(&o.Frame, "frame", 1, "which frame, from 1")
	cmd.Flags().BoolVar(&o.Unmasked, "unmasked", false, "paint no masks")
	cmd.Flags().StringArrayVar(&masks, "mask", nil, "x,y,width,height in pixels; may be repeated (default: those suggested)")
	at.addFlags(cmd, record.RoleReviewer)
	return cmd
}

// previewed is the JSON of reviews preview.
type previewed struct {
	File string `json:"file"`
}

func (a *app) preview(ctx context.Context, at *connection, object string, o vault.PreviewOptions, file string) (err error) {
	id, err := record.ParseObjectID(object)
	if err != nil {
		return usagef("reviews preview: %w", err)
	}
	from, err := at.open()
	if err != nil {
		return err
	}
	// A picture may show whom it is of: nobody else reads the file.
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return usageError{err}
	}
	err = from.Preview(ctx, id, o, out)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(file) // half a picture is none
		return err
	}
	return a.print(previewed{file}, func(w io.Writer) { fmt.Fprintf(w, "%s\n", file) })
}

func newReviewsReleaseCommand(a *app) *cobra.Command {
	var at connection
	var n vault.NewRelease
	var masks []string
	cmd := &cobra.Command{
		Use:   "release OBJECT --reason TEXT [--mask x,y,w,h]…",
		Short: "show a withheld document from now on",
		Long: `release paints the masks over the pixels of the de-identified view, for good, and shows
it from now on. The original keeps what lies under them. It prints the id of the object
that stands in the place of the withheld one; the old id leads there too.

You cannot release what you sent yourself. The reason must not name the patient.`,
		Example: "  medvault reviews release 3f… --mask 0,0,640,48 --reason 'name bar masked'\n  medvault reviews release 3f… --mask 2@10,10,80,20 --reason 'label on frame 2'",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if n.Masks, err = parseMasks(masks); err != nil {
				return err
			}
			if n.Reason == "" {
				return usagef("reviews release: give --reason")
			}
			return a.release(cmd.Context(), &at, args[0], n)
		},
	}
	cmd.Flags().StringArrayVar(&masks, "mask", nil, "x,y,width,height in pixels of every frame, or FRAME@x,y,width,height; may be repeated")
	cmd.Flags().StringSliceVar(&n.Accept, "accept", nil, "codes you looked into and found harmless, as residual-identifier")
	cmd.Flags().StringVar(&n.Reason, "reason", "", "why, at most 200 characters; required")
	at.addFlags(cmd, record.RoleReviewer)
	return cmd
}

// releasedReview is the JSON of reviews release.
type releasedReview struct {
	Released record.ObjectID `json:"released"`
	Object   record.ObjectID `json:"object"`
}

func (a *app) release(ctx context.Context, at *connection, object string, n vault.NewRelease) error {
	id, err := record.ParseObjectID(object)
	if err != nil {
		return usagef("reviews release: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	now, err := to.Release(ctx, id, n)
	if err != nil {
		return err
	}
	return a.print(releasedReview{id, now}, func(w io.Writer) { fmt.Fprintf(w, "released as %s\n", now) })
}

func newReviewsRefuseCommand(a *app) *cobra.Command {
	var at connection
	var reason string
	cmd := &cobra.Command{
		Use:   "refuse OBJECT --reason TEXT",
		Short: "keep a withheld document withheld",
		Long:  "refuse takes a document off the list. Its de-identified view stays withheld until\nsomebody releases it after all.",
		Args:  wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("reviews refuse: give --reason")
			}
			return a.refuse(cmd.Context(), &at, args[0], reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, at most 200 characters; required")
	at.addFlags(cmd, record.RoleReviewer)
	return cmd
}

// refusedReview is the JSON of reviews refuse.
type refusedReview struct {
	Refused record.ObjectID `json:"refused"`
}

func (a *app) refuse(ctx context.Context, at *connection, object, reason string) error {
	id, err := record.ParseObjectID(object)
	if err != nil {
		return usagef("reviews refuse: %w", err)
	}
	to, err := at.open()
	if err != nil {
		return err
	}
	if err := to.Refuse(ctx, id, reason); err != nil {
		return err
	}
	return a.print(refusedReview{id}, func(w io.Writer) { io.WriteString(w, "refused\n") })
}

// parseMasks reads masks as x,y,width,height, or with FRAME@ before it.
func parseMasks(texts []string) (masks []vault.Mask, err error) {
	for _, text := range texts {
		var m vault.Mask
		rest := text
		if frame, after, ok := strings.Cut(text, "@"); ok {
			rest = after
			if m.Frame, err = strconv.Atoi(frame); err != nil || m.Frame < 1 {
				return nil, usagef("--mask %q: want FRAME@x,y,width,height", text)
			}
		}
		parts := strings.Split(rest, ",")
		into := []*int{&m.X, &m.Y, &m.Width, &m.Height}
		if len(parts) != len(into) {
			return nil, usagef("--mask %q: want x,y,width,height", text)
		}
		for i, part := range parts {
			if *into[i], err = strconv.Atoi(part); err != nil {
				return nil, usagef("--mask %q: want x,y,width,height", text)
			}
		}
		masks = append(masks, m)
	}
	return masks, nil
}

func maskText(m vault.Mask) string {
	text := fmt.Sprintf("%d,%d,%d,%d", m.X, m.Y, m.Width, m.Height)
	if m.Frame > 0 {
		text = strconv.Itoa(m.Frame) + "@" + text
	}
	return text
}
