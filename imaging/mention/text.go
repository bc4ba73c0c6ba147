package mention

import "medvault/imaging/subject"

// Passage is a stretch of a text that names somebody.
type Passage struct {
	Start, End int // bytes
	Kind       Kind
	Token      string
}

// FindText tells where a text names somebody: a narrative, a value of a form. The
// passages are sorted and do not overlap.
func FindText(text string, known *Known, how Strictness) []Passage {
	return known.passages(text, how)
}

// Replace writes the tokens into a text, and tells how many there are.
func Replace(text string, known *Known, how Strictness) (string, int) {
	found := known.passages(text, how)
	var b []byte
	at := 0
	for _, p := range found {
		b = append(b, text[at:p.Start]...)
		b = append(b, p.Token...)
		at = p.End
	}
	return string(append(b, text[at:]...)), len(found)
}

func (k *Known) passages(text string, _ Strictness) (all []Passage) {
	for _, m := range k.subject.Find(text) {
		all = append(all, Passage{m.Start, m.End, kindOf(m.Kind), k.token(kindOf(m.Kind))})
	}
	return all
}

func kindOf(k subject.Kind) Kind {
	switch k {
	case subject.Name:
		return Name
	case subject.ID:
		return ID
	case subject.Date:
		return Birth
	case subject.Phone:
		return Phone
	case subject.Email:
		return Email
	case subject.Address:
		return Address
	case subject.ResidentID:
		return ResidentID
	}
	return Person
}

// token is what stands for a kind.
func (k *Known) token(of Kind) string {
	switch of {
	case Name:
		return k.tokens.Name
	case ID:
		return k.tokens.ID
	case Birth:
		return birthToken
	case Date:
		return dateToken
	case Phone:
		return phoneToken
	case Email:
		return emailToken
	case Address:
		return addressToken
	case ResidentID:
		return k.tokens.ID
	case URL:
		return urlToken
	case Age:
		return ageToken
	}
	return personToken
}
