package report

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"

	"medvault/imaging"
)

// Page draws a page of a view, from 1, as PNG at pdf.MaskDPI, with masks painted black,
// for whoever reviews. What cannot be drawn is an imaging.ErrCannotConvert.
func (c Config) Page(ctx context.Context, w io.Writer, content io.Reader, page int, masks []imaging.Mask) error {
	if c.Redactor == nil {
		return fmt.Errorf("nothing draws pages: %w", imaging.ErrCannotConvert)
	}
	document, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	drawn, err := c.Redactor.Render(ctx, document, page)
	if err != nil {
		return err
	}
	if len(masks) == 0 {
		_, err := w.Write(drawn)
		return err
	}
	m, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		return fmt.Errorf("draw page: %w", err)
	}
	painted := image.NewRGBA(m.Bounds())
	draw.Draw(painted, m.Bounds(), m, m.Bounds().Min, draw.Src)
	for _, mask := range masks {
		draw.Draw(painted, image.Rect(mask.X, mask.Y, mask.X+mask.Width, mask.Y+mask.Height), image.Black, image.Point{}, draw.Src)
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	return encoder.Encode(w, painted)
}
