package compile

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
)

// azureVersion is the version of a document of service tags, by its change number.
const azureVersion = "change %d"

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
		d.Version = fmt.Sprintf(azureVersion, in.ChangeNumber)
	}
	return nil
}

// azureURL is where the page of the service tags may lead to. The file name ends in
// the date of publication.
var azureURL = regexp.MustCompile(`https://download\.microsoft\.com/download/[0-9A-Za-z/-]+/ServiceTags_Public_([0-9]{8})\.json`)

// azureDocument returns the address of the document in its download page: the
// newest, if the page has several.
func azureDocument(page []byte) (string, error) {
	newest, date := "", ""
	for _, m := range azureURL.FindAllSubmatch(page, -1) {
		if d := string(m[1]); d > date {
			newest, date = string(m[0]), d
		}
	}
	if newest == "" {
		return "", errors.New("the page has no link to a document: download it in a browser and name the file")
	}
	return newest, nil
}
