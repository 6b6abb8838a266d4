// Package worldmap is the command archeio map: a world map of the mirrors of a
// stage and the AWS regions that each serves.
package worldmap

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"archeio/lambda/worldmap"
	"archeio/scripts/archeio/cli"
)

// region has the names of the JSON that is printed.
type region struct {
	Region     string  `json:"region"`
	Place      string  `json:"place"`
	Latitude   float64 `json:"latitude"`
	Longitude  float64 `json:"longitude"`
	Mirror     string  `json:"mirror"`
	Redirector bool    `json:"redirector"`
}

// Command returns the command.
func Command() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "map [flags] -stage NAME",
		Short: "draw which mirror serves which region",
		Long: "Draws a world map as SVG: each AWS region joined to the mirror that serves its\n" +
			"clients, and the regions of the redirectors. The lines come from the routing\n" +
			"code of the redirector.",
		Example: cli.Example("archeio map -stage production -o map.svg"),
	}
	s := cli.StageFlags(c)
	c.Flags().StringVarP(&file, "output", "o", "", "`FILE` file to write (default: standard output)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the regions as JSON instead of drawing them")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if file != "" && asJSON {
			return cli.Usagef("-output cannot be combined with -json")
		}
		read, err := s.Read()
		if err != nil {
			return err
		}
		config, err := read.Config(read.Redirectors[0])
		if err != nil {
			return err
		}
		all := worldmap.Regions(config, read.Redirectors)
		if asJSON {
			out := make([]region, len(all))
			for i, r := range all {
				out[i] = region{r.Name, r.Place, r.Point.Latitude, r.Point.Longitude, r.Mirror, r.Redirector}
			}
			return cli.JSON(c.OutOrStdout(), map[string]any{"stage": read.Name, "regions": out})
		}
		picture := worldmap.SVG(all)
		if file == "" {
			_, err := c.OutOrStdout().Write(picture)
			return err
		}
		if err := os.WriteFile(file, picture, 0o644); err != nil {
			return fmt.Errorf("writing the map: %w", err)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "wrote %s (%d bytes, %d regions)\n", file, len(picture), len(all))
		return err
	}
	return c
}
