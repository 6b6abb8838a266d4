package regions

// awsRegions is sorted by name. The columns are name, partition, place, point,
// located.
//
// Sources: names from ip-ranges.json; places from the "AWS Regions" page of the
// AWS Regions and Availability Zones guide, the AWS Global Infrastructure page
// and the announcement of each region; partitions from the partition table that
// the AWS SDKs share. Where AWS names only a country, a state or a province, the
// point is where its data centers are reported to be, or else the capital. For
// GovCloud, AWS names only the northwestern and the eastern United States; the
// points are those of the commercial regions in Oregon and Ohio.
//
// us-south-1, sa-west-1 and me-west-1 are not in the table: the document has
// addresses for them, but AWS has announced no regions of these names.
var awsRegions = [...]Region{
	{"af-south-1", "aws", "Cape Town", Point{-33.92, 18.42}, true},
	{"ap-east-1", "aws", "Hong Kong", Point{22.32, 114.17}, true},
	{"ap-east-2", "aws", "Taipei", Point{25.03, 121.57}, true},
	{"ap-northeast-1", "aws", "Tokyo", Point{35.68, 139.69}, true},
	{"ap-northeast-2", "aws", "Seoul", Point{37.57, 126.98}, true},
	{"ap-northeast-3", "aws", "Osaka", Point{34.69, 135.50}, true},
	{"ap-south-1", "aws", "Mumbai", Point{19.08, 72.88}, true},
	{"ap-south-2", "aws", "Hyderabad", Point{17.39, 78.49}, true},
	{"ap-southeast-1", "aws", "Singapore", Point{1.35, 103.82}, true},
	{"ap-southeast-2", "aws", "Sydney", Point{-33.87, 151.21}, true},
	{"ap-southeast-3", "aws", "Jakarta", Point{-6.21, 106.85}, true},
	{"ap-southeast-4", "aws", "Melbourne", Point{-37.81, 144.96}, true},
	{"ap-southeast-5", "aws", "Malaysia", Point{3.14, 101.69}, true},
	{"ap-southeast-6", "aws", "Auckland", Point{-36.85, 174.76}, true},
	{"ap-southeast-7", "aws", "Bangkok", Point{13.76, 100.50}, true},
	{"ca-central-1", "aws", "Montréal", Point{45.50, -73.57}, true},
	{"ca-west-1", "aws", "Calgary", Point{51.05, -114.07}, true},
	{"cn-north-1", "aws-cn", "Beijing", Point{39.90, 116.41}, true},
	{"cn-northwest-1", "aws-cn", "Ningxia", Point{37.51, 105.19}, true},
	{"eu-central-1", "aws", "Frankfurt", Point{50.11, 8.68}, true},
	{"eu-central-2", "aws", "Zurich", Point{47.38, 8.54}, true},
	{"eu-north-1", "aws", "Stockholm", Point{59.33, 18.07}, true},
	{"eu-south-1", "aws", "Milan", Point{45.46, 9.19}, true},
	{"eu-south-2", "aws", "Aragón", Point{41.65, -0.89}, true},
	{"eu-west-1", "aws", "Dublin", Point{53.35, -6.26}, true},
	{"eu-west-2", "aws", "London", Point{51.51, -0.13}, true},
	{"eu-west-3", "aws", "Paris", Point{48.86, 2.35}, true},
	{"eusc-de-east-1", "aws-eusc", "Brandenburg", Point{52.40, 13.06}, true},
	{"il-central-1", "aws", "Tel Aviv", Point{32.09, 34.78}, true},
	{"me-central-1", "aws", "United Arab Emirates", Point{24.45, 54.38}, true},
	{"me-south-1", "aws", "Bahrain", Point{26.23, 50.59}, true},
	{"mx-central-1", "aws", "Querétaro", Point{20.59, -100.39}, true},
	{"sa-east-1", "aws", "São Paulo", Point{-23.55, -46.63}, true},
	{"us-east-1", "aws", "Northern Virginia", Point{38.95, -77.45}, true},
	{"us-east-2", "aws", "Ohio", Point{39.96, -83.00}, true},
	{"us-gov-east-1", "aws-us-gov", "Eastern United States", Point{39.96, -83.00}, true},
	{"us-gov-west-1", "aws-us-gov", "Northwestern United States", Point{45.84, -119.70}, true},
	{"us-west-1", "aws", "Northern California", Point{37.34, -121.89}, true},
	{"us-west-2", "aws", "Oregon", Point{45.84, -119.70}, true},
}
