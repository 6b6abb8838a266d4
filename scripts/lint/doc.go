// Package lint holds the configuration of the linters for the templates, and a
// test of the language that code and documents are written in.
package lint
