// Package mention finds where a page or a text names somebody, and says what is to
// stand there instead.
//
//	Name: Zhang Wei   MRN 0482913   born 13.07.1971   ->   Name: [PT-KQ37HC]   MRN [ID:KQ37HC]   born [DOB]
//	申请医师：李某   2024-03-05                        ->   申请医师：[PERSON]   2024-04-02
//
// It looks for the patient (package subject: names, numbers and dates in all the ways
// they are written), for what names a person whoever it is (resident ids, telephones,
// e-mail, postal addresses), and for what stands behind a label: 姓名, MRN, Dr. A page
// is read in several orders, as its content has it and as the eye finds it, so that a
// name in pieces is found however the pieces were drawn.
package mention

// Box is a rectangle on a page, in whatever unit the page is measured in (points or
// pixels), with y growing downwards: X0 <= X1, Y0 <= Y1.
type Box struct{ X0, Y0, X1, Y1 float64 }

// Glyph is the smallest thing on a page that can be blacked out: a character of a
// text, or a whole word that OCR found. Blanks and line ends that an extractor made up
// may be among them (Text " " or "\n", the box empty); they are not needed.
type Glyph struct {
	// Text is what it says, in UTF-8. Several characters (a ligature, a word) are
	// blacked out together. "" says nothing: it parts no word.
	Text string

	// Box is where the ink is, better the advance and line height than the bare
	// outline.
	Box Box

	// Angle is the direction in which its line runs, clockwise in radians: 0 for text
	// that runs to the right, Pi/2 for one that runs down the page. Leave it 0 where it
	// is not known.
	Angle float64
}

// Kind says what was found.
type Kind uint8

const (
	Name       Kind = iota + 1 // the patient's
	ID                         // a number that stands for the patient or an act
	Birth                      // the birth date
	Date                       // any other date: Token is the shifted one
	Phone                      // anybody's
	Email                      // anybody's
	Address                    // anybody's, postal
	ResidentID                 // anybody's
	URL                        // with a number or a name in it
	Age                        // over 89, which few people reach
	Person                     // somebody else, or an institution that is known
)

var kinds = [...]string{"none", "name", "id", "birth-date", "date", "phone", "email", "address", "resident-id", "url", "age", "person"}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Strictness says how much is taken for a mention.
type Strictness uint8

const (
	// Normal is for text that says what it says.
	Normal Strictness = iota
	// Strict is for text that was read off pixels, and for a second try after
	// something was left: names and numbers with one to three wrong characters (O for 0,
	// l for 1), and whatever stands behind a label to the end of its field.
	Strict
)

// Mention is one place where somebody is named.
type Mention struct {
	Kind Kind

	// Token is what is to stand there: in brackets, or for Date the shifted date.
	Token string

	// Glyphs are indexes into the glyphs that Find was given, ascending. No glyph is in
	// two mentions. Between the first and the last there may be others that stay.
	Glyphs []int

	// Boxes is what to paint over: one for each stretch of a line, in reading order.
	// The token belongs into the first one.
	Boxes []Box
}

// Find tells where a page names somebody. The glyphs are those of one page, in the
// order of its content. The mentions are in the order of their first glyphs. A glyph
// that lies upon a mentioned one (an invisible text under a scan, a shadow) belongs to
// that mention too.
//
// Tokens that stand on the page already are no mentions, so a page that was rewritten
// may be looked at again: then only dates are left, moved as they are.
func Find(glyphs []Glyph, known *Known, how Strictness) []Mention {
	return known.find(glyphs, how)
}
