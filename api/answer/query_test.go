package answer_test

import (
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
)

func TestLanguage(t *testing.T) {
	for header, want := range map[string]string{
		"": "en", "zh": "zh", "zh-CN,zh;q=0.9,en;q=0.8": "zh", "en-GB, zh;q=0.9": "en", "de, zh;q=0.5": "zh", "fr": "en", "en;q=0.1, zh-Hant;q=0.2": "zh", ";;": "en",
	} {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("GET", "/", nil)
		c.Request.Header.Set("Accept-Language", header)
		if got := answer.Language(c); got != want {
			t.Errorf("Accept-Language %q: %s; want %s", header, got, want)
		}
	}
}
