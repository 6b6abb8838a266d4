package copier

// maxListed is how many errors, absences and warnings of a run are listed each, to bound
// memory.
const maxListed = 20_000

// Unlisted counts what a list does not have, because it has many entries already.
type Unlisted struct {
	Absent   int `json:"absent"`
	Warnings int `json:"warnings"`
	Errors   int `json:"errors"`
}

// list adds an item to a list, or only counts it.
func list[T any](items *[]T, unlisted *int, item T) {
	if len(*items) < maxListed {
		*items = append(*items, item)
	} else {
		*unlisted++
	}
}
