# What a gateway with `contentOnly: true` may do in HashiCorp Vault: open content keys.
# No path leads to an identity key or to a key of the house (tokens, index, log), and it
# can wrap nothing.
path "transit/decrypt/medvault-content-*" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
