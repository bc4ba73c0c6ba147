package answer

import (
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/language"

	"medvault/vault/record"
)

// Language is "zh" where the request would rather be answered in Chinese, else "en".
func Language(c *gin.Context) string {
	wanted, _, err := language.ParseAcceptLanguage(c.GetHeader("Accept-Language"))
	if err != nil {
		return "en"
	}
	for _, tag := range wanted { // the dearest first
		switch base, _ := tag.Base(); base.String() {
		case "en", "zh":
			return base.String()
		}
	}
	return "en"
}

// Time reads a query parameter in RFC 3339; one that is absent is the zero time.
func Time(c *gin.Context, name string) (time.Time, error) {
	text := c.Query(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, record.Refuse(record.ErrInvalid, "bad-"+name, name+" is a time as 2026-11-22T08:00:00Z")
	}
	return t, nil
}

// Number reads a query parameter; one that is absent is 0.
func Number(c *gin.Context, name string) (int, error) {
	text := c.Query(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, record.Refuse(record.ErrInvalid, "bad-"+name, name+" is a number")
	}
	return n, nil
}
