// Package vault is the front door: every act on a patient's documents passes here.
//
// Two flows: Put stores (put.go) and Open returns (open.go). Everything else asks
// about them (find.go), proves them (verify.go) or decides them (guard.go).
package vault
