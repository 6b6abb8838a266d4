package regions

// azureRegions is sorted by name. The columns are name, partition, place, point,
// located.
//
// Sources: names from properties.region of the Service Tags document, which has
// its own abbreviations ("norwaye" is the region norwayeast); places from the
// "Azure regions list" page of the Azure reliability documentation and, for
// regions that are not on it, from Microsoft's announcements. Where Microsoft
// names a city, the point is that city, because the coordinates of `az account
// list-locations` can be hundreds of kilometres away: they put France Central,
// which is in Paris, into the Auvergne. Where Microsoft names only a state or a
// country, the point is that of list-locations, with exceptions noted at the row.
// The early-access (EUAP) regions have the coordinates of the regions they are
// named after. Test regions, and regions in the document that Microsoft has not
// announced, are not located.
var azureRegions = [...]Region{
	{"australiacentral", "", "Canberra", Point{-35.31, 149.12}, true},
	{"australiacentral2", "", "Canberra", Point{-35.31, 149.12}, true},
	{"australiaeast", "", "New South Wales", Point{-33.86, 151.21}, true},
	{"australiasoutheast", "", "Victoria", Point{-37.81, 144.96}, true},
	{"austriaeast", "", "Vienna", Point{48.21, 16.37}, true},
	{"belgiumcentral", "", "Brussels", Point{50.85, 4.35}, true},
	{"brazilne", "", "", Point{}, false},
	{"brazilse", "", "Rio de Janeiro", Point{-22.91, -43.17}, true},
	{"brazilsouth", "", "São Paulo", Point{-23.55, -46.63}, true},
	{"canadacentral", "", "Toronto", Point{43.65, -79.38}, true},
	{"canadaeast", "", "Québec", Point{46.82, -71.22}, true},
	{"centralfrance", "", "Paris", Point{48.86, 2.35}, true},
	{"centralindia", "", "Pune", Point{18.52, 73.86}, true},
	{"centralus", "", "Iowa", Point{41.59, -93.62}, true},
	{"centraluseuap", "", "Iowa", Point{41.59, -93.62}, true},
	{"chilec", "", "Santiago", Point{-33.45, -70.67}, true},
	{"denmarkeast", "", "Copenhagen", Point{55.68, 12.57}, true},
	{"eastasia", "", "Hong Kong", Point{22.32, 114.17}, true},
	{"eastus", "", "Virginia", Point{37.37, -79.82}, true},
	{"eastus2", "", "Virginia", Point{36.67, -78.39}, true},
	{"eastus2euap", "", "Virginia", Point{36.67, -78.39}, true},
	{"eastus3", "", "Atlanta", Point{33.75, -84.39}, true},
	{"germanyn", "", "Berlin", Point{52.52, 13.41}, true},
	{"germanywc", "", "Frankfurt", Point{50.11, 8.68}, true},
	{"indiasouthcentral", "", "Hyderabad", Point{17.39, 78.49}, true},
	{"indonesiacentral", "", "Jakarta", Point{-6.21, 106.85}, true},
	// The coordinates of list-locations are in the sea off Sinai; these are the
	// middle of the country.
	{"israelcentral", "", "Israel", Point{31.50, 34.75}, true},
	{"israelnorthwest", "", "", Point{}, false},
	{"italynorth", "", "Milan", Point{45.46, 9.19}, true},
	{"japaneast", "", "Tokyo", Point{35.68, 139.69}, true},
	{"japanwest", "", "Osaka", Point{34.69, 135.50}, true},
	{"jioindiacentral", "", "Nagpur", Point{21.15, 79.09}, true},
	{"jioindiawest", "", "Jamnagar", Point{22.47, 70.06}, true},
	{"koreacentral", "", "Seoul", Point{37.57, 126.98}, true},
	{"koreasouth", "", "Busan", Point{35.18, 129.08}, true},
	{"malaysiasouth", "", "", Point{}, false},
	{"malaysiawest", "", "Kuala Lumpur", Point{3.14, 101.69}, true},
	{"mexicocentral", "", "Querétaro", Point{20.59, -100.39}, true},
	{"newzealandnorth", "", "Auckland", Point{-36.85, 174.76}, true},
	{"northcentralus", "", "Illinois", Point{41.88, -87.63}, true},
	{"northeastus5", "", "", Point{}, false},
	{"northeurope", "", "Ireland", Point{53.35, -6.26}, true},
	{"northeurope2", "", "", Point{}, false},
	{"norwaye", "", "Oslo", Point{59.91, 10.75}, true},
	{"norwayw", "", "Stavanger", Point{58.97, 5.73}, true},
	{"polandcentral", "", "Warsaw", Point{52.23, 21.01}, true},
	{"qatarcentral", "", "Doha", Point{25.29, 51.53}, true},
	{"southafricanorth", "", "Johannesburg", Point{-26.20, 28.05}, true},
	{"southafricawest", "", "Cape Town", Point{-33.92, 18.42}, true},
	{"southcentralus", "", "Texas", Point{29.42, -98.50}, true},
	{"southcentralus2", "", "", Point{}, false},
	{"southeastasia", "", "Singapore", Point{1.35, 103.82}, true},
	{"southeastus", "", "", Point{}, false},
	{"southeastus3", "", "", Point{}, false},
	{"southfrance", "", "Marseille", Point{43.30, 5.37}, true},
	{"southindia", "", "Chennai", Point{13.08, 80.27}, true},
	{"spaincentral", "", "Madrid", Point{40.42, -3.70}, true},
	{"swedencentral", "", "Gävle", Point{60.67, 17.14}, true},
	// Microsoft lists the region without a place; Staffanstorp is its only
	// announced site in the south of Sweden.
	{"swedensouth", "", "Staffanstorp", Point{55.64, 13.21}, true},
	{"switzerlandn", "", "Zurich", Point{47.38, 8.54}, true},
	{"switzerlandw", "", "Geneva", Point{46.20, 6.14}, true},
	// Microsoft announced a region in Taiwan without a city; the point is Taipei,
	// the city in the north.
	{"taiwannorth", "", "Taiwan", Point{25.03, 121.57}, true},
	{"taiwannorthwest", "", "", Point{}, false},
	{"uaecentral", "", "Abu Dhabi", Point{24.45, 54.38}, true},
	{"uaenorth", "", "Dubai", Point{25.20, 55.27}, true},
	{"uksouth", "", "London", Point{51.51, -0.13}, true},
	{"ukwest", "", "Cardiff", Point{51.48, -3.18}, true},
	{"usstagec", "", "", Point{}, false},
	{"usstagee", "", "", Point{}, false},
	// The coordinates of list-locations are in Utah; Microsoft's data centers in
	// Wyoming are in Cheyenne.
	{"westcentralus", "", "Wyoming", Point{41.14, -104.82}, true},
	{"westeurope", "", "Netherlands", Point{52.37, 4.90}, true},
	{"westindia", "", "Mumbai", Point{19.08, 72.88}, true},
	{"westus", "", "California", Point{37.78, -122.42}, true},
	{"westus2", "", "Washington", Point{47.23, -119.85}, true},
	{"westus3", "", "Phoenix", Point{33.45, -112.07}, true},
}
