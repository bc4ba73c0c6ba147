package pdf_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"medvault/imaging/imagingtest/reports"
	"medvault/imaging/mention"
	"medvault/imaging/pdf/pdftest"
)

func TestZZ(t *testing.T) {
	var n int
	fmt.Sscan(os.Getenv("ZZ"), &n)
	r := reports.Make(n)
	got, err := pdftest.Redactor(t).Redact(context.Background(), r.Data, mention.New(r.Known, mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: reports.Shift}), nil)
	fmt.Println(r.Name, err, got.Held, got.Reasons)
	for _, b := range got.Boxes {
		fmt.Printf("%4.0f %4.0f %3.0f %3.0f %s %s %q %v\n", b.X, b.Y, b.Width, b.Height, b.Kind, b.Token, b.Text, b.FromPixels)
	}
}
