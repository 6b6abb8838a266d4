package main

import "fmt"

// check is one thing that was tried at the level of HTTP.
type check struct {
	Part    string  `json:"part"`
	Name    string  `json:"name"`
	Front   string  `json:"front"`
	Saw     string  `json:"saw"`
	Took    float64 `json:"seconds"`
	Verdict string  `json:"verdict"`
}

var checkHead = []string{"PART", "WHAT", "FRONT", "WHAT CLIENTS SAW", "TOOK", "VERDICT"}

func (c check) cells() []string {
	return []string{c.Part, c.Name, c.Front, c.Saw, fmt.Sprintf("%.1fs", c.Took), c.Verdict}
}
