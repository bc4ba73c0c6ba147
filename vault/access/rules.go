package access

import "medvault/vault/record"

// Rule is one policy, as people are told of it.
type Rule struct {
	ID         string      `json:"id"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
	Forbids    bool        `json:"forbids"`              // or else it permits
	View       record.View `json:"view,omitempty"`       // of a permit: what is seen
	Reason     string      `json:"reason,omitempty"`     // of a forbid: what the refused are told
	Obligation string      `json:"obligation,omitempty"` // of a permit: what must also be done
	Says       string      `json:"says,omitempty"`       // first line of the comment above it
	BuiltIn    bool        `json:"builtIn"`
}

// Rules lists the policies in the order in which they are read.
func (e *Engine) Rules() []Rule {
	list := make([]Rule, 0, len(e.rules))
	for _, r := range e.rules {
		list = append(list, r.Rule)
	}
	return list
}
