package transit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"

	"medvault/keys"
)

// session keeps a client logged in by an AppRole: it renews the token as long as
// the server allows, and logs in again when renewal ends.
type session struct {
	config Config
	client *api.Client // whose token the session sets
	logins *api.Client // for login and renewal; carries no token, so that an expired one cannot spoil a login
	cancel context.CancelFunc
	ended  chan struct{}
	wanted chan struct{} // somebody found the token dead

	mu    sync.Mutex
	token string
	err   error         // of the last login
	tried chan struct{} // closed after each login, good or bad, and made anew
}

// Logins that fail are tried again after firstPause, doubling up to longestPause.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 15 * time.Second
)

func startSession(config Config, client *api.Client) (*session, error) {
	logins, err := config.dial(config.Timeout)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{config: config, client: client, logins: logins, cancel: cancel,
		ended: make(chan struct{}), wanted: make(chan struct{}, 1), tried: make(chan struct{})}
	go s.run(ctx)
	return s, nil
}

// close ends the session and waits for its goroutine.
func (s *session) close() {
	s.cancel()
	<-s.ended
}

func (s *session) run(ctx context.Context) {
	defer close(s.ended)
	pause := firstPause
	for ctx.Err() == nil {
		login, err := s.login(ctx)
		s.publish(login, err)
		if err != nil {
			s.sleep(ctx, pause)
			pause = min(2*pause, longestPause)
			continue
		}
		pause = firstPause
		s.keep(ctx, login)
	}
}

func (s *session) login(ctx context.Context) (*api.Secret, error) {
	secretID, err := s.config.Auth.SecretID()
	if err != nil {
		return nil, fmt.Errorf("read secret id: %w", err)
	}
	role, err := approle.NewAppRoleAuth(s.config.Auth.RoleID, &approle.SecretID{FromString: secretID}, approle.WithMountPath(s.config.Auth.Mount))
	if err != nil {
		return nil, err
	}
	login, err := role.Login(ctx, s.logins)
	if err != nil {
		return nil, err
	}
	if login == nil || login.Auth == nil || login.Auth.ClientToken == "" {
		return nil, errors.New("the answer to the login holds no token")
	}
	return login, nil
}

// publish tells everyone how a login went. After a failed one the old token
// stays: it may have some time left.
func (s *session) publish(login *api.Secret, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.token = login.Auth.ClientToken
		s.client.SetToken(s.token)
	} else {
		// No login, no keys for now, whatever the reason; it is tried again.
		err = fmt.Errorf("%w: log in by AppRole: %s", keys.ErrUnavailable, reason(err))
	}
	s.err = err
	close(s.tried)
	s.tried = make(chan struct{})
}

// reason is err without URL and without what was sent.
func reason(err error) string {
	if response := new(api.ResponseError); errors.As(err, &response) {
		return fmt.Sprintf("%d: %v", response.StatusCode, response.Errors)
	}
	return err.Error()
}

func (s *session) sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.wanted:
	case <-timer.C:
	}
}

// keep renews the login until that ends, or until the token is found dead. The
// watcher ends a little before the token does, so there is time to log in again.
func (s *session) keep(ctx context.Context, login *api.Secret) {
	watcher, err := s.logins.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: login})
	if err != nil {
		s.publish(nil, err)
		s.sleep(ctx, longestPause)
		return
	}
	go watcher.Start() // always ends by sending to DoneCh, which all paths below wait for
	select {
	case <-watcher.DoneCh():
		// Why renewal ended does not matter: what follows is a fresh login.
		return
	case <-s.wanted:
	case <-ctx.Done():
	}
	watcher.Stop()
	<-watcher.DoneCh()
}

// ready waits for the first login.
func (s *session) ready(ctx context.Context) error {
	s.mu.Lock()
	token, err, tried := s.token, s.err, s.tried
	s.mu.Unlock()
	if token != "" {
		return nil
	}
	if err != nil {
		return err // the next try runs meanwhile; nobody waits for a server that is down
	}
	return s.await(ctx, tried, "")
}

// alive asks the server whether it still knows a token.
func (s *session) alive(ctx context.Context, token string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	_, err := s.client.Auth().Token().LookupSelfWithContext(ctx)
	return status(err) != 403 && s.client.Token() == token
}

// renew has the session log in again, unless it has done so since token was
// found dead, and waits for that.
func (s *session) renew(ctx context.Context, dead string) error {
	s.mu.Lock()
	token, tried := s.token, s.tried
	s.mu.Unlock()
	if token != dead {
		return nil
	}
	select {
	case s.wanted <- struct{}{}:
	default: // somebody asked already
	}
	return s.await(ctx, tried, dead)
}

// await waits for the login that closes tried to bring another token than old.
func (s *session) await(ctx context.Context, tried chan struct{}, old string) error {
	select {
	case <-tried:
	case <-s.ended:
		return fmt.Errorf("%w: closed", keys.ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == old {
		return s.err
	}
	return nil
}
