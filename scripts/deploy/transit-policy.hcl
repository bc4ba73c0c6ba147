# What a gateway may do in HashiCorp Vault: use keys. It cannot make, export,
# configure or delete one. `update` without `create`: encrypting under a key that
# is gone must fail instead of silently making a new one.
path "transit/encrypt/medvault-*" { capabilities = ["update"] }
path "transit/decrypt/medvault-*" { capabilities = ["update"] }
path "transit/rewrap/medvault-*" { capabilities = ["update"] }
path "transit/keys/medvault-*" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
