package answer

import (
	"github.com/gin-gonic/gin"

	"medvault/vault/record"
)

// WholePath refuses an address with an empty segment where a name belongs, as in
// /studies//instances: the router takes it for the same route without the name, and
// a filter that is dropped finds other patients. Every face puts it before its routes.
func WholePath(c *gin.Context) {
	for _, p := range c.Params {
		if p.Value == "" {
			Error(c, record.Refuse(record.ErrInvalid, "bad-uid", "a name in the path is empty"))
			return
		}
	}
}

// Get adds a route for GET and HEAD. The server drops the body of an answer to HEAD, so
// a handler that would open much for one looks at the method itself.
func Get(r gin.IRouter, path string, handler gin.HandlerFunc) {
	r.GET(path, handler)
	r.HEAD(path, handler)
}
