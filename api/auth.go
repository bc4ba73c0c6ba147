package api

import (
	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/identity"
)

// authenticate lets nobody unknown past it.
func (s *Server) authenticate(c *gin.Context) {
	a, err := identity.FromRequest(c.Request, s.cfg.Auth)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.SetActor(c, a)
}
