package compile

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// parseAzure reads the service tags. Only the tags of whole regions are used,
// AzureCloud.REGION; the others are parts of them, by service. The document has
// no date, but Microsoft puts one into its file name.
// https://learn.microsoft.com/azure/virtual-network/service-tags-overview
func parseAzure(d *Document, name string, data []byte) error {
	var in struct {
		ChangeNumber int `json:"changeNumber"`
		Values       []struct {
			Name       string `json:"name"`
			Properties struct {
				Region          string   `json:"region"`
				AddressPrefixes []string `json:"addressPrefixes"`
			} `json:"properties"`
		} `json:"values"`
	}
	if err := decode(data, &in); err != nil {
		return err
	}
	for _, tag := range in.Values {
		if !strings.HasPrefix(tag.Name, "AzureCloud.") {
			continue
		}
		for _, p := range tag.Properties.AddressPrefixes {
			if err := d.add(p, tag.Properties.Region); err != nil {
				return fmt.Errorf("tag %.64q: %w", tag.Name, err)
			}
		}
	}
	if date, err := time.Parse("ServiceTags_Public_20060102.json", path.Base(name)); err == nil {
		d.Date = date
	}
	if in.ChangeNumber != 0 {
		d.Version = fmt.Sprintf("change %d", in.ChangeNumber)
	}
	return nil
}
