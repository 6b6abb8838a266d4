package regions

// googleRegions is sorted by name. The columns are name, partition, place, point,
// located.
//
// Sources: names from cloud.json; places from the "Regions and zones" page of
// the Compute Engine documentation and the announcement of each region, and the
// points are those of the towns. us-central2 is a private region that the
// Firestore locations page puts in Oklahoma; its point is Mayes County, the first
// of Google's data centers there. Regions in the document for which no Google page
// gives a place are not located.
var googleRegions = [...]Region{
	{"africa-south1", "", "Johannesburg", Point{-26.20, 28.05}, true},
	{"asia-east1", "", "Changhua County, Taiwan", Point{24.05, 120.52}, true},
	{"asia-east2", "", "Hong Kong", Point{22.32, 114.17}, true},
	{"asia-northeast1", "", "Tokyo", Point{35.68, 139.69}, true},
	{"asia-northeast2", "", "Osaka", Point{34.69, 135.50}, true},
	{"asia-northeast3", "", "Seoul", Point{37.57, 126.98}, true},
	{"asia-south1", "", "Mumbai", Point{19.08, 72.88}, true},
	{"asia-south2", "", "Delhi", Point{28.61, 77.21}, true},
	{"asia-southeast1", "", "Singapore", Point{1.35, 103.82}, true},
	{"asia-southeast2", "", "Jakarta", Point{-6.21, 106.85}, true},
	{"asia-southeast3", "", "Bangkok", Point{13.76, 100.50}, true},
	{"australia-southeast1", "", "Sydney", Point{-33.87, 151.21}, true},
	{"australia-southeast2", "", "Melbourne", Point{-37.81, 144.96}, true},
	{"europe-central2", "", "Warsaw", Point{52.23, 21.01}, true},
	{"europe-north1", "", "Hamina, Finland", Point{60.57, 27.20}, true},
	{"europe-north2", "", "Stockholm", Point{59.33, 18.07}, true},
	{"europe-southwest1", "", "Madrid", Point{40.42, -3.70}, true},
	{"europe-west1", "", "St. Ghislain, Belgium", Point{50.45, 3.82}, true},
	{"europe-west10", "", "Berlin", Point{52.52, 13.41}, true},
	{"europe-west12", "", "Turin", Point{45.07, 7.69}, true},
	{"europe-west15", "", "", Point{}, false},
	{"europe-west2", "", "London", Point{51.51, -0.13}, true},
	{"europe-west3", "", "Frankfurt", Point{50.11, 8.68}, true},
	{"europe-west4", "", "Eemshaven, Netherlands", Point{53.44, 6.83}, true},
	{"europe-west6", "", "Zurich", Point{47.38, 8.54}, true},
	{"europe-west8", "", "Milan", Point{45.46, 9.19}, true},
	{"europe-west9", "", "Paris", Point{48.86, 2.35}, true},
	{"me-central1", "", "Doha", Point{25.29, 51.53}, true},
	{"me-central2", "", "Dammam", Point{26.42, 50.09}, true},
	{"me-west1", "", "Tel Aviv", Point{32.09, 34.78}, true},
	{"northamerica-northeast1", "", "Montréal", Point{45.50, -73.57}, true},
	{"northamerica-northeast2", "", "Toronto", Point{43.65, -79.38}, true},
	{"northamerica-south1", "", "Querétaro", Point{20.59, -100.39}, true},
	{"southamerica-east1", "", "Osasco, São Paulo", Point{-23.53, -46.79}, true},
	{"southamerica-west1", "", "Santiago", Point{-33.45, -70.67}, true},
	{"us-central1", "", "Council Bluffs, Iowa", Point{41.26, -95.86}, true},
	{"us-central2", "", "Oklahoma", Point{36.24, -95.33}, true},
	{"us-east1", "", "Moncks Corner, South Carolina", Point{33.20, -80.01}, true},
	{"us-east4", "", "Ashburn, Virginia", Point{39.04, -77.49}, true},
	{"us-east5", "", "Columbus, Ohio", Point{39.96, -83.00}, true},
	{"us-east7", "", "", Point{}, false},
	{"us-south1", "", "Dallas", Point{32.78, -96.80}, true},
	{"us-west1", "", "The Dalles, Oregon", Point{45.59, -121.18}, true},
	{"us-west2", "", "Los Angeles", Point{34.05, -118.24}, true},
	{"us-west3", "", "Salt Lake City", Point{40.76, -111.89}, true},
	{"us-west4", "", "Las Vegas", Point{36.17, -115.14}, true},
	{"us-west8", "", "", Point{}, false},
}
