package client

import (
	"encoding/json"
	"fmt"
	"strings"
)

// dataset is an object of the DICOM JSON model (PS3.18 F.2).
type dataset map[string]struct {
	VR    string            `json:"vr"`
	Value []json.RawMessage `json:"Value"`
}

// items are the items of a sequence; none when it is absent.
func (d dataset) items(tag string) ([]dataset, error) {
	var items []dataset
	for _, raw := range d[tag].Value {
		var item dataset
		if err := json.Unmarshal(raw, &item); err != nil {
			return nil, fmt.Errorf("sequence %s of the answer: %w", tag, err)
		}
		items = append(items, item)
	}
	return items, nil
}

// texts are the values of an attribute as text; of a person name the alphabetic
// group, or the first there is.
func (d dataset) texts(tag string) []string {
	var all []string
	for _, raw := range d[tag].Value {
		var s string
		var name struct{ Alphabetic, Ideographic, Phonetic string }
		switch {
		case json.Unmarshal(raw, &s) == nil:
			all = append(all, s)
		case json.Unmarshal(raw, &name) == nil:
			for _, group := range []string{name.Alphabetic, name.Ideographic, name.Phonetic} {
				if group != "" {
					all = append(all, group)
					break
				}
			}
		default:
			all = append(all, string(raw)) // a number
		}
	}
	return all
}

// text is the first value; "" when there is none.
func (d dataset) text(tag string) string {
	if all := d.texts(tag); len(all) > 0 {
		return all[0]
	}
	return ""
}

// uidsOf reads the UIDs out of a resource's address; those it does not name are "".
func uidsOf(address string) (study, series, instance string) {
	_, path, found := strings.Cut(address, "/studies/")
	if !found {
		return "", "", ""
	}
	segments := strings.Split("studies/"+path, "/")
	for i := 0; i+1 < len(segments); i += 2 {
		switch segments[i] {
		case "studies":
			study = segments[i+1]
		case "series":
			series = segments[i+1]
		case "instances":
			instance = segments[i+1]
		}
	}
	return study, series, instance
}
