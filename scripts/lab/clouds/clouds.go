// Package clouds writes documents of IP ranges in the forms of the providers, for
// tests.
package clouds

import (
	"encoding/json"
	"fmt"
	"strconv"

	"archeio/ranges"
	"archeio/ranges/compile"
)

type object = map[string]any

// JSON returns a document as its provider would publish it. The version of a document
// of Azure must be "change N".
func JSON(d compile.Document) []byte {
	var out object
	switch d.Cloud {
	case ranges.AWS:
		v4, v6 := []object{}, []object{}
		for _, p := range d.Prefixes {
			if p.Prefix.Addr().Is4() {
				v4 = append(v4, object{"ip_prefix": p.Prefix, "region": p.Place.Region, "service": "AMAZON", "network_border_group": p.Place.Region})
			} else {
				v6 = append(v6, object{"ipv6_prefix": p.Prefix, "region": p.Place.Region, "service": "AMAZON", "network_border_group": p.Place.Region})
			}
		}
		out = object{"syncToken": strconv.FormatInt(d.Date.Unix(), 10), "createDate": d.Version, "prefixes": v4, "ipv6_prefixes": v6}
	case ranges.GCP:
		all := []object{}
		for _, p := range d.Prefixes {
			name := "ipv4Prefix"
			if !p.Prefix.Addr().Is4() {
				name = "ipv6Prefix"
			}
			all = append(all, object{name: p.Prefix, "service": "Google Cloud", "scope": p.Place.Region})
		}
		out = object{"syncToken": strconv.FormatInt(d.Date.UnixMilli(), 10), "creationTime": d.Version, "prefixes": all}
	case ranges.Azure:
		change := 0
		fmt.Sscanf(d.Version, "change %d", &change)
		at, tags := map[string]int{}, []object{}
		for _, p := range d.Prefixes {
			i, ok := at[p.Place.Region]
			if !ok {
				i = len(tags)
				at[p.Place.Region] = i
				tags = append(tags, object{"name": "AzureCloud." + p.Place.Region, "properties": object{"region": p.Place.Region, "addressPrefixes": []any{}}})
			}
			properties := tags[i]["properties"].(object)
			properties["addressPrefixes"] = append(properties["addressPrefixes"].([]any), p.Prefix)
		}
		out = object{"changeNumber": change, "cloud": "Public", "values": tags}
	case ranges.OCI:
		at, all := map[string]int{}, []object{}
		for _, p := range d.Prefixes {
			i, ok := at[p.Place.Region]
			if !ok {
				i = len(all)
				at[p.Place.Region] = i
				all = append(all, object{"region": p.Place.Region, "cidrs": []any{}})
			}
			all[i]["cidrs"] = append(all[i]["cidrs"].([]any), object{"cidr": p.Prefix, "tags": []string{"OCI"}})
		}
		out = object{"last_updated_timestamp": d.Date.UTC().Format("2006-01-02T15:04:05.000000"), "regions": all}
	default:
		panic("clouds: unknown cloud " + string(d.Cloud))
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // texts and prefixes always marshal
	}
	return data
}
