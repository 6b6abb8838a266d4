package regions

// azureRegions is sorted by name. The columns are cloud, name, partition, place,
// point, located.
//
// Sources: names from the properties.region of the Service Tags document, which
// are abbreviations of its own ("norwaye" is the region norwayeast); places from
// the "Azure regions list" page of the Azure reliability documentation and, for
// regions not on it, from Microsoft's announcements. Where Microsoft names a city
// the point is that city, because the coordinates that `az account
// list-locations` gives can lie hundreds of kilometres from it: France Central
// is in Paris by one and in the Auvergne by the other. Where Microsoft names only
// a state or a country the point is the one list-locations gives, except as said
// at the row. The early-access (EUAP) regions have the coordinates of the regions
// they are named for. Test regions, and regions in the document that Microsoft
// has not announced, are not located.
var azureRegions = [...]Region{
	{"Azure", "australiacentral", "", "Canberra", Point{-35.31, 149.12}, true},
	{"Azure", "australiacentral2", "", "Canberra", Point{-35.31, 149.12}, true},
	{"Azure", "australiaeast", "", "New South Wales", Point{-33.86, 151.21}, true},
	{"Azure", "australiasoutheast", "", "Victoria", Point{-37.81, 144.96}, true},
	{"Azure", "austriaeast", "", "Vienna", Point{48.21, 16.37}, true},
	{"Azure", "belgiumcentral", "", "Brussels", Point{50.85, 4.35}, true},
	{"Azure", "brazilne", "", "", Point{}, false},
	{"Azure", "brazilse", "", "Rio de Janeiro", Point{-22.91, -43.17}, true},
	{"Azure", "brazilsouth", "", "São Paulo", Point{-23.55, -46.63}, true},
	{"Azure", "canadacentral", "", "Toronto", Point{43.65, -79.38}, true},
	{"Azure", "canadaeast", "", "Québec", Point{46.82, -71.22}, true},
	{"Azure", "centralfrance", "", "Paris", Point{48.86, 2.35}, true},
	{"Azure", "centralindia", "", "Pune", Point{18.52, 73.86}, true},
	{"Azure", "centralus", "", "Iowa", Point{41.59, -93.62}, true},
	{"Azure", "centraluseuap", "", "Iowa", Point{41.59, -93.62}, true},
	{"Azure", "chilec", "", "Santiago", Point{-33.45, -70.67}, true},
	{"Azure", "denmarkeast", "", "Copenhagen", Point{55.68, 12.57}, true},
	{"Azure", "eastasia", "", "Hong Kong", Point{22.32, 114.17}, true},
	{"Azure", "eastus", "", "Virginia", Point{37.37, -79.82}, true},
	{"Azure", "eastus2", "", "Virginia", Point{36.67, -78.39}, true},
	{"Azure", "eastus2euap", "", "Virginia", Point{36.67, -78.39}, true},
	{"Azure", "eastus3", "", "Atlanta", Point{33.75, -84.39}, true},
	{"Azure", "germanyn", "", "Berlin", Point{52.52, 13.41}, true},
	{"Azure", "germanywc", "", "Frankfurt", Point{50.11, 8.68}, true},
	{"Azure", "indiasouthcentral", "", "Hyderabad", Point{17.39, 78.49}, true},
	{"Azure", "indonesiacentral", "", "Jakarta", Point{-6.21, 106.85}, true},
	// The coordinates list-locations gives are in the sea off Sinai; these are
	// the middle of the country.
	{"Azure", "israelcentral", "", "Israel", Point{31.50, 34.75}, true},
	{"Azure", "israelnorthwest", "", "", Point{}, false},
	{"Azure", "italynorth", "", "Milan", Point{45.46, 9.19}, true},
	{"Azure", "japaneast", "", "Tokyo", Point{35.68, 139.69}, true},
	{"Azure", "japanwest", "", "Osaka", Point{34.69, 135.50}, true},
	{"Azure", "jioindiacentral", "", "Nagpur", Point{21.15, 79.09}, true},
	{"Azure", "jioindiawest", "", "Jamnagar", Point{22.47, 70.06}, true},
	{"Azure", "koreacentral", "", "Seoul", Point{37.57, 126.98}, true},
	{"Azure", "koreasouth", "", "Busan", Point{35.18, 129.08}, true},
	{"Azure", "malaysiasouth", "", "", Point{}, false},
	{"Azure", "malaysiawest", "", "Kuala Lumpur", Point{3.14, 101.69}, true},
	{"Azure", "mexicocentral", "", "Querétaro", Point{20.59, -100.39}, true},
	{"Azure", "newzealandnorth", "", "Auckland", Point{-36.85, 174.76}, true},
	{"Azure", "northcentralus", "", "Illinois", Point{41.88, -87.63}, true},
	{"Azure", "northeastus5", "", "", Point{}, false},
	{"Azure", "northeurope", "", "Ireland", Point{53.35, -6.26}, true},
	{"Azure", "northeurope2", "", "", Point{}, false},
	{"Azure", "norwaye", "", "Oslo", Point{59.91, 10.75}, true},
	{"Azure", "norwayw", "", "Stavanger", Point{58.97, 5.73}, true},
	{"Azure", "polandcentral", "", "Warsaw", Point{52.23, 21.01}, true},
	{"Azure", "qatarcentral", "", "Doha", Point{25.29, 51.53}, true},
	{"Azure", "southafricanorth", "", "Johannesburg", Point{-26.20, 28.05}, true},
	{"Azure", "southafricawest", "", "Cape Town", Point{-33.92, 18.42}, true},
	{"Azure", "southcentralus", "", "Texas", Point{29.42, -98.50}, true},
	{"Azure", "southcentralus2", "", "", Point{}, false},
	{"Azure", "southeastasia", "", "Singapore", Point{1.35, 103.82}, true},
	{"Azure", "southeastus", "", "", Point{}, false},
	{"Azure", "southeastus3", "", "", Point{}, false},
	{"Azure", "southfrance", "", "Marseille", Point{43.30, 5.37}, true},
	{"Azure", "southindia", "", "Chennai", Point{13.08, 80.27}, true},
	{"Azure", "spaincentral", "", "Madrid", Point{40.42, -3.70}, true},
	{"Azure", "swedencentral", "", "Gävle", Point{60.67, 17.14}, true},
	// Microsoft lists the region without a place; Staffanstorp is the one site in
	// the south of Sweden that it has announced.
	{"Azure", "swedensouth", "", "Staffanstorp", Point{55.64, 13.21}, true},
	{"Azure", "switzerlandn", "", "Zurich", Point{47.38, 8.54}, true},
	{"Azure", "switzerlandw", "", "Geneva", Point{46.20, 6.14}, true},
	// Microsoft announced a region in Taiwan and no city; the point is Taipei, as
	// the city of the north.
	{"Azure", "taiwannorth", "", "Taiwan", Point{25.03, 121.57}, true},
	{"Azure", "taiwannorthwest", "", "", Point{}, false},
	{"Azure", "uaecentral", "", "Abu Dhabi", Point{24.45, 54.38}, true},
	{"Azure", "uaenorth", "", "Dubai", Point{25.20, 55.27}, true},
	{"Azure", "uksouth", "", "London", Point{51.51, -0.13}, true},
	{"Azure", "ukwest", "", "Cardiff", Point{51.48, -3.18}, true},
	{"Azure", "usstagec", "", "", Point{}, false},
	{"Azure", "usstagee", "", "", Point{}, false},
	// The coordinates list-locations gives are in Utah; Microsoft's data centers
	// in Wyoming are in Cheyenne.
	{"Azure", "westcentralus", "", "Wyoming", Point{41.14, -104.82}, true},
	{"Azure", "westeurope", "", "Netherlands", Point{52.37, 4.90}, true},
	{"Azure", "westindia", "", "Mumbai", Point{19.08, 72.88}, true},
	{"Azure", "westus", "", "California", Point{37.78, -122.42}, true},
	{"Azure", "westus2", "", "Washington", Point{47.23, -119.85}, true},
	{"Azure", "westus3", "", "Phoenix", Point{33.45, -112.07}, true},
}
