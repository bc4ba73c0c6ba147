package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"medvault/api/transport"
	"medvault/vault/record"
)

// OIDCConfig says whose tokens are believed and what their claims mean.
type OIDCConfig struct {
	Issuer   string // required: the issuer's URL, exactly as in its tokens; https, or loopback
	Audience string // required: must be among the token's aud
	Claims   Claims
	// Roles maps a value of the role claim to a role; values it lacks are ignored.
	// Default: the roles' own names.
	Roles map[string]record.Role
	// Institution, PatientIssuer and Country are used where the token has no such
	// claim. A person without country is refused everything that residency decides.
	Institution, PatientIssuer, Country string
	// Clients that may have got the token (azp, or client_id of RFC 9068); default any.
	Clients []string
	// RequireScopes refuses tokens without a SMART on FHIR scope; otherwise the policies
	// alone bound them.
	RequireScopes bool
	Skew          time.Duration    // how far clocks may differ; default 30 s
	Algorithms    []string         // default RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512
	Client        *http.Client     // default: transport.AES256 with the system's roots
	Now           func() time.Time // default time.Now
}

// Claims names the claims. A dotted name looks inside objects when no claim has the
// name as a whole ("realm_access.roles").
type Claims struct {
	Role          string // default "role"; a string, or an array of which exactly one maps to a role
	Institution   string // default "institution"
	PatientIssuer string // default "patient_id_issuer": Issuer of Patient ID for what the person uploads
	Country       string // default "country"; ISO 3166-1 alpha-2
	Purpose       string // default "purpose_of_use"; an HL7 v3 code, binding when present
	Scope         string // default "scope"; words in a string or an array
	Patient       string // default "patient"; the patient token that patient/ scopes are about
}

// OIDC believes the tokens of one OpenID Connect issuer: JWTs signed with a key of
// its JWKS, which is fetched again when a token names a key not seen yet.
type OIDC struct {
	cfg    OIDCConfig
	keys   oidc.KeySet
	verify oidc.Config
	found  discovered
}

// discovered is what the issuer's discovery document says of its endpoints.
type discovered struct {
	Keys       string   `json:"jwks_uri"`
	Authorize  string   `json:"authorization_endpoint"`
	Token      string   `json:"token_endpoint"`
	EndSession string   `json:"end_session_endpoint"` // "": the provider offers no log-out
	Methods    []string `json:"token_endpoint_auth_methods_supported"`
	Challenges []string `json:"code_challenge_methods_supported"`
}

var _ Authenticator = (*OIDC)(nil)

// fetchTimeout bounds one request to the issuer.
const fetchTimeout = 10 * time.Second

// NewOIDC asks the issuer's discovery document, so the issuer must answer now.
func NewOIDC(ctx context.Context, cfg OIDCConfig) (*OIDC, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	client := *cfg.Client
	client.Timeout = fetchTimeout
	ctx = oidc.ClientContext(ctx, &client)
	provider, err := oidc.NewProvider(ctx, cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("oidc: discover %s: %w", cfg.Issuer, err)
	}
	var found discovered
	if err := provider.Claims(&found); err != nil {
		return nil, fmt.Errorf("oidc: discover %s: %w", cfg.Issuer, err)
	}
	if err := transport.CheckURL(found.Keys); err != nil {
		return nil, fmt.Errorf("oidc: jwks_uri of %s: %w", cfg.Issuer, err)
	}
	return &OIDC{
		cfg:   cfg,
		found: found,
		keys:  oidc.NewRemoteKeySet(ctx, found.Keys),
		verify: oidc.Config{
			ClientID:             cfg.Audience,
			SupportedSigningAlgs: cfg.Algorithms, // never "none", never a shared secret
			Now:                  func() time.Time { return cfg.Now().Add(-cfg.Skew) },
		},
	}, nil
}

// check fills in the defaults and refuses what cannot work.
func (c *OIDCConfig) check() error {
	if c.Issuer == "" {
		return errors.New("issuer is required")
	}
	if err := transport.CheckURL(c.Issuer); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if c.Audience == "" {
		return errors.New("audience is required: a token for another service must not open this one")
	}
	if c.Skew < 0 || c.Skew > 5*time.Minute {
		return fmt.Errorf("skew is %v; it can be up to 5m", c.Skew)
	}
	if c.Skew == 0 {
		c.Skew = 30 * time.Second
	}
	if c.Roles == nil {
		c.Roles = map[string]record.Role{}
		for _, r := range record.Roles() {
			c.Roles[string(r)] = r
		}
	}
	for value, role := range c.Roles {
		if !slices.Contains(record.Roles(), role) {
			return fmt.Errorf("roles: %s maps to %q, which is no role", value, role)
		}
	}
	allowed := []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512}
	for _, a := range c.Algorithms {
		if !slices.Contains(allowed, a) {
			return fmt.Errorf("algorithms: %q; it can be %s", a, strings.Join(allowed, ", "))
		}
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = allowed
	}
	for name, otherwise := range map[*string]string{
		&c.Claims.Role: "role", &c.Claims.Institution: "institution", &c.Claims.PatientIssuer: "patient_id_issuer",
		&c.Claims.Country: "country", &c.Claims.Purpose: "purpose_of_use", &c.Claims.Scope: "scope", &c.Claims.Patient: "patient",
	} {
		if *name == "" {
			*name = otherwise
		}
	}
	if c.Client == nil {
		c.Client = transport.AES256.HTTPClient(nil)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Authenticate verifies signature, issuer, audience and times, then reads the claims.
func (o *OIDC) Authenticate(ctx context.Context, token string) (record.Actor, error) {
	keys := &watched{KeySet: o.keys}
	proven, err := oidc.NewVerifier(o.cfg.Issuer, keys, &o.verify).Verify(ctx, token)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return record.Actor{}, errToken("token-expired", "this token has expired; get a new one")
	case keys.unreachable:
		return record.Actor{}, record.Refuse(record.ErrUnavailable, "issuer-unavailable", "the identity provider's keys cannot be fetched now; try again")
	case err != nil:
		// The library's text quotes the token's own issuer and audience; it goes nowhere.
		return record.Actor{}, errToken("token-invalid", "this token does not prove who you are here; get one from the configured issuer, for this service")
	}
	var claims claimSet
	if err := proven.Claims(&claims); err != nil {
		return record.Actor{}, errToken("token-invalid", "the claims of this token cannot be read")
	}
	if claims.early("nbf", o.cfg.Now().Add(o.cfg.Skew)) || claims.early("iat", o.cfg.Now().Add(o.cfg.Skew)) {
		return record.Actor{}, errToken("token-early", "this token is not valid yet; check the clocks")
	}
	if proven.Subject == "" {
		return record.Actor{}, errToken("token-invalid", "this token names no subject")
	}
	if !isAccessToken(token, claims) {
		return record.Actor{}, errToken("token-type", "this is no access token: send the access token, not the ID or refresh token")
	}
	if !o.fromKnownClient(claims) {
		return record.Actor{}, errToken("client-unknown", "this token was given to an application that may not use this service")
	}
	a, err := o.actor(proven.Subject, claims)
	a.Credentials = credentials(token, claims)
	if a.Credentials == "" {
		return record.Actor{}, errToken("token-invalid", "the confirmation claim (cnf) of this token cannot be understood")
	}
	return a, err
}

// isAccessToken says whether nothing in a proven token says that it is of another kind:
// RFC 8725 3.11, RFC 9068 2.1. Providers who say nothing are believed.
func isAccessToken(token string, claims claimSet) bool {
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Type string `json:"typ"`
	}
	if err != nil || json.Unmarshal(text, &header) != nil {
		return false
	}
	switch strings.TrimPrefix(strings.ToLower(header.Type), "application/") {
	case "", "jwt", "at+jwt":
	default:
		return false
	}
	switch kind, _ := claims["typ"].(string); kind { // Keycloak
	case "", "Bearer", "JWT", "at+jwt":
	default:
		return false
	}
	use, _ := claims["token_use"].(string) // Cognito
	return use == "" || use == "access"
}

func (o *OIDC) fromKnownClient(claims claimSet) bool {
	if len(o.cfg.Clients) == 0 {
		return true
	}
	for _, name := range []string{"azp", "client_id"} {
		if value, present := claims[name]; present {
			client, _ := value.(string)
			return slices.Contains(o.cfg.Clients, client)
		}
	}
	return false
}

// credentials names a proven token, and the certificate it is bound to (RFC 8705 3.1).
// "" when it is bound to what cannot be checked here.
func credentials(token string, claims claimSet) string {
	id, _ := claims["jti"].(string)
	if id != "" && len(id) <= 128 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:+/=") == "" {
		id = "jti:" + id
	} else {
		sum := sha256.Sum256([]byte(token))
		id = "jwt:" + hex.EncodeToString(sum[:16])
	}
	value, present := claims["cnf"]
	if !present {
		return id
	}
	confirmation, _ := value.(map[string]any)
	text, _ := confirmation["x5t#S256"].(string)
	sum, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sum) != sha256.Size || len(confirmation) != 1 {
		return ""
	}
	return id + " " + x509Credential + hex.EncodeToString(sum)
}

// watched notes whether the keys could not be fetched: then the token may be good.
type watched struct {
	oidc.KeySet
	unreachable bool
}

func (w *watched) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	// The library wraps what fetching met, and wraps nothing when no key fits.
	w.unreachable = err != nil && errors.Unwrap(err) != nil
	return payload, err
}

// actor reads who it is from proven claims.
func (o *OIDC) actor(subject string, claims claimSet) (record.Actor, error) {
	proven := record.Actor{ID: subject} // all there is to say of one whose claims are of no use
	a := record.Actor{ID: subject, Institution: o.cfg.Institution, Issuer: o.cfg.PatientIssuer, Country: o.cfg.Country}
	for _, field := range []struct {
		claim string
		into  *string
	}{
		{o.cfg.Claims.Institution, &a.Institution},
		{o.cfg.Claims.PatientIssuer, &a.Issuer},
		{o.cfg.Claims.Country, &a.Country},
	} {
		value, present := claims.find(field.claim)
		if !present {
			continue
		}
		text, ok := value.(string)
		if !ok || text == "" {
			return proven, record.Refuse(record.ErrDenied, "claim-unusable", "the claim "+field.claim+" of the token must be a word")
		}
		*field.into = text
	}
	var err error
	if a.Role, err = o.role(claims); err != nil {
		return proven, err
	}
	if value, present := claims.find(o.cfg.Claims.Purpose); present {
		text, _ := value.(string)
		if a.Purpose = record.Purpose(text); !Known(a.Purpose) {
			return proven, record.Refuse(record.ErrDenied, "purpose-unknown", "the claim "+o.cfg.Claims.Purpose+" of the token must be one HL7 v3 PurposeOfUse code")
		}
	}
	if a.Scopes = smart(claims.words(o.cfg.Claims.Scope)); a.Scopes == "" && o.cfg.RequireScopes {
		return proven, record.Refuse(record.ErrDenied, "scopes-required", "this vault wants tokens with SMART on FHIR scopes, as user/ImagingStudy.rs")
	}
	if value, present := claims.find(o.cfg.Claims.Patient); present {
		text, _ := value.(string)
		if launch, err := record.ParsePatientToken(text); err == nil {
			a.Launch = launch // anything else is no patient here: then patient/ scopes cover nobody
		}
	}
	if issued, ok := claims["iat"].(float64); ok {
		a.Issued = int64(issued)
	}
	return a, nil
}

// smart keeps of a token's scopes those of SMART on FHIR, well-formed or not: one that
// cannot be read must bound the token all the same.
func smart(scopes []string) string {
	var kept []string
	for _, s := range scopes {
		if context, _, ok := strings.Cut(s, "/"); ok && slices.Contains([]string{"patient", "user", "system"}, strings.ToLower(context)) {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " ")
}

// words are the words of a claim that is a string or an array of strings.
func (c claimSet) words(name string) (words []string) {
	value, _ := c.find(name)
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	for _, v := range list {
		text, _ := v.(string)
		words = append(words, strings.Fields(text)...)
	}
	return words
}

func (o *OIDC) role(claims claimSet) (record.Role, error) {
	value, _ := claims.find(o.cfg.Claims.Role)
	values, isList := value.([]any)
	if !isList {
		values = []any{value}
	}
	var found []record.Role
	for _, v := range values {
		text, _ := v.(string)
		if r, ok := o.cfg.Roles[text]; ok && !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", record.Refuse(record.ErrDenied, "role-unknown", "the claim "+o.cfg.Claims.Role+" of the token names no role of this vault")
	}
	return "", record.Refuse(record.ErrDenied, "role-ambiguous", "the claim "+o.cfg.Claims.Role+" of the token names several roles; get a token for one")
}

// claimSet is the payload of a proven token.
type claimSet map[string]any

func (c claimSet) find(name string) (any, bool) {
	if v, ok := c[name]; ok {
		return v, true
	}
	head, rest, dotted := strings.Cut(name, ".")
	if !dotted {
		return nil, false
	}
	inner, ok := c[head].(map[string]any)
	if !ok {
		return nil, false
	}
	return claimSet(inner).find(rest)
}

// early says whether the time in the claim lies after now, or is no time.
func (c claimSet) early(name string, now time.Time) bool {
	v, present := c[name]
	if !present {
		return false
	}
	seconds, ok := v.(float64)
	return !ok || seconds > float64(now.Unix())
}
