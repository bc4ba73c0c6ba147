package transit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/errgroup"

	"medvault/keys"
)

// Provisioning says what Provision makes besides the keys.
type Provisioning struct {
	Role        string        // name of policy and AppRole of the application; rotation has "-rotation" behind it; default "medvault"
	TokenTTL    time.Duration // default 1 h
	TokenMaxTTL time.Duration // default 24 h
}

// Login is the credential of one AppRole.
type Login struct {
	RoleID   string
	SecretID Secret
}

// Roles are the two credentials that share the work.
type Roles struct {
	Application Login // wraps, unwraps, rewraps, reads versions
	Rotation    Login // rotates, trims, rewraps, reads versions; opens nothing
}

// Provision sets up an engine for config, whose token must be an
// administrator's: the mount, one derived key for each shard and one for the
// house, no keys made by writing to them, two policies and two AppRoles. What is
// there already stays; each run gives new secret ids.
func Provision(ctx context.Context, config Config, p Provisioning) (Roles, error) {
	setDefault(&p.Role, "medvault")
	setDefault(&p.TokenTTL, time.Hour)
	setDefault(&p.TokenMaxTTL, 24*time.Hour)
	if config.Auth.Token == nil {
		return Roles{}, errors.New("provision transit: an administrator's token is required")
	}
	s, err := New(config)
	if err != nil {
		return Roles{}, fmt.Errorf("provision: %w", err)
	}
	if err := s.provisionEngine(ctx); err != nil {
		return Roles{}, fmt.Errorf("provision transit: %w", err)
	}
	if err := s.provisionAppRoleMethod(ctx); err != nil {
		return Roles{}, fmt.Errorf("provision transit: %w", err)
	}
	application, err := s.provisionRole(ctx, p.Role, ApplicationPolicy(s.config.Mount, s.config.Prefix), p)
	if err != nil {
		return Roles{}, fmt.Errorf("provision transit: %w", err)
	}
	rotation, err := s.provisionRole(ctx, p.Role+"-rotation", RotationPolicy(s.config.Mount, s.config.Prefix), p)
	if err != nil {
		return Roles{}, fmt.Errorf("provision transit: %w", err)
	}
	return Roles{Application: application, Rotation: rotation}, nil
}

// ApplicationPolicy is what the gateway's credential may do. It has no "create"
// anywhere, so writing to a key that is gone makes no new one.
func ApplicationPolicy(mount, prefix string) string {
	var b strings.Builder
	for _, operation := range []string{"encrypt", "decrypt", "rewrap"} {
		fmt.Fprintf(&b, "path \"%s/%s/%s*\" { capabilities = [\"update\"] }\n", mount, operation, prefix)
	}
	fmt.Fprintf(&b, "path \"%s/keys/%s*\" { capabilities = [\"read\"] }\n", mount, prefix)
	b.WriteString(selfPolicy)
	return b.String()
}

// RotationPolicy is what the rotation's credential may do. Vault cannot name a
// prefix in the middle of a path, so it reaches every key of the mount: give
// Medvault a mount of its own.
func RotationPolicy(mount, prefix string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "path \"%s/keys/+/rotate\" { capabilities = [\"update\"] }\n", mount)
	fmt.Fprintf(&b, "path \"%s/keys/+/trim\" { capabilities = [\"update\"] }\n", mount)
	// Only the minimums: with "exportable" or "deletion_allowed" keys could leave or die.
	fmt.Fprintf(&b, "path \"%s/keys/+/config\" {\n  capabilities = [\"update\"]\n  allowed_parameters = { \"min_decryption_version\" = [], \"min_encryption_version\" = [] }\n}\n", mount)
	fmt.Fprintf(&b, "path \"%s/rewrap/%s*\" { capabilities = [\"update\"] }\n", mount, prefix)
	// Not "keys/PREFIX*": being more specific, it would hide the three above.
	fmt.Fprintf(&b, "path \"%s/keys/+\" { capabilities = [\"read\"] }\n", mount)
	b.WriteString(selfPolicy)
	return b.String()
}

const selfPolicy = `path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
`

func (s *Service) provisionEngine(ctx context.Context) error {
	mounts, err := s.client.Sys().ListMountsWithContext(ctx)
	if err != nil {
		return fmt.Errorf("list mounts: %w", translate(ctx, err))
	}
	switch mount := mounts[s.config.Mount+"/"]; {
	case mount == nil:
		if err := s.client.Sys().MountWithContext(ctx, s.config.Mount, &api.MountInput{Type: "transit"}); err != nil {
			return fmt.Errorf("mount the engine: %w", translate(ctx, err))
		}
	case mount.Type != "transit":
		return fmt.Errorf("mount %s is a %s engine", s.config.Mount, mount.Type)
	}
	if err := s.post(ctx, "config/keys", []byte(`{"disable_upsert":true}`), nil); err != nil {
		return fmt.Errorf("forbid keys made by writing to them: %w", translate(ctx, err))
	}

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, kind := range []keys.Kind{keys.Content, keys.Identity, keys.House} {
		for _, shard := range keys.ShardNames(kind, s.config.Shards) {
			group.Go(func() error { return s.provisionKey(ctx, kind, shard) })
		}
	}
	return group.Wait()
}

const keyType = "aes256-gcm96"

func (s *Service) provisionKey(ctx context.Context, kind keys.Kind, shard string) error {
	name, err := s.key(kind, shard)
	if err != nil {
		return err
	}
	// On a key that exists this changes nothing; the answer tells what is there.
	var answer struct {
		Data keyInfo `json:"data"`
	}
	err = s.post(ctx, "keys/"+name, []byte(`{"type":"`+keyType+`","derived":true}`), &answer)
	if err != nil {
		return fmt.Errorf("make key %s: %w", name, translate(ctx, err))
	}
	if k := answer.Data; k.Type != keyType || !k.Derived {
		return fmt.Errorf("key %s is there already, and is no derived %s key", name, keyType)
	}
	return nil
}

func (s *Service) provisionAppRoleMethod(ctx context.Context) error {
	methods, err := s.client.Sys().ListAuthWithContext(ctx)
	if err != nil {
		return fmt.Errorf("list login methods: %w", translate(ctx, err))
	}
	switch method := methods[s.config.Auth.Mount+"/"]; {
	case method == nil:
		err := s.client.Sys().EnableAuthWithOptionsWithContext(ctx, s.config.Auth.Mount, &api.EnableAuthOptions{Type: "approle"})
		if err != nil {
			return fmt.Errorf("enable AppRole: %w", translate(ctx, err))
		}
	case method.Type != "approle":
		return fmt.Errorf("login method %s is %s", s.config.Auth.Mount, method.Type)
	}
	return nil
}

// provisionRole writes a policy and an AppRole that has it and nothing else.
func (s *Service) provisionRole(ctx context.Context, name, policy string, p Provisioning) (Login, error) {
	if err := s.client.Sys().PutPolicyWithContext(ctx, name, policy); err != nil {
		return Login{}, fmt.Errorf("write policy %s: %w", name, translate(ctx, err))
	}
	path := "auth/" + s.config.Auth.Mount + "/role/" + name
	_, err := s.client.Logical().WriteWithContext(ctx, path, map[string]any{
		"token_policies":          []string{name},
		"token_no_default_policy": true,
		"token_ttl":               seconds(p.TokenTTL),
		"token_max_ttl":           seconds(p.TokenMaxTTL),
	})
	if err != nil {
		return Login{}, fmt.Errorf("write AppRole %s: %w", name, translate(ctx, err))
	}
	role, err := s.client.Logical().ReadWithContext(ctx, path+"/role-id")
	if err != nil {
		return Login{}, fmt.Errorf("read role id of %s: %w", name, translate(ctx, err))
	}
	secret, err := s.client.Logical().WriteWithContext(ctx, path+"/secret-id", nil)
	if err != nil {
		return Login{}, fmt.Errorf("make secret id of %s: %w", name, translate(ctx, err))
	}
	roleID, secretID := text(role, "role_id"), text(secret, "secret_id")
	if roleID == "" || secretID == "" {
		return Login{}, fmt.Errorf("AppRole %s has no role id or secret id", name)
	}
	return Login{RoleID: roleID, SecretID: Fixed(secretID)}, nil
}

func seconds(d time.Duration) json.Number { return json.Number(fmt.Sprint(int(d.Seconds()))) }

func text(s *api.Secret, field string) string {
	if s == nil {
		return ""
	}
	value, _ := s.Data[field].(string)
	return value
}
