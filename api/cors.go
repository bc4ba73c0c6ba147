package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/gin-gonic/gin"

	"medvault/api/transport"
)

// checkOrigin wants scheme://host[:port] and nothing more: no wildcard, no path.
func checkOrigin(origin string) error {
	if err := transport.CheckURL(origin); err != nil {
		return err
	}
	u, err := url.Parse(origin)
	if err != nil {
		return fmt.Errorf("origin %q is not a URL", origin)
	}
	if u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("origin %q must be scheme://host and nothing more", origin)
	}
	return nil
}

// cors tells browsers of the configured origins that they may call. Tokens travel in
// a header that a page must set itself, so no cookie is ever allowed along.
func (s *Server) cors(c *gin.Context) {
	if len(s.cfg.Origins) == 0 {
		return
	}
	c.Writer.Header().Add("Vary", "Origin")
	origin := c.GetHeader("Origin")
	if !slices.Contains(s.cfg.Origins, origin) {
		return
	}
	c.Header("Access-Control-Allow-Origin", origin)
	c.Header("Access-Control-Expose-Headers", "Warning, ETag, Content-Location, Location, Retry-After, Medvault-Patient, Medvault-Vault, X-Request-Id")
	if c.Request.Method != http.MethodOptions || c.GetHeader("Access-Control-Request-Method") == "" {
		return
	}
	c.Header("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS")
	c.Header("Access-Control-Allow-Headers", "Authorization, Accept, Content-Type, Purpose-Of-Use, Reason, X-Request-Id")
	c.Header("Access-Control-Max-Age", "600")
	c.AbortWithStatus(http.StatusNoContent)
}
