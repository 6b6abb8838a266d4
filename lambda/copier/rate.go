package copier

// WorkerRate is the assumed rate at which a worker copies blobs, in bytes per second.
const WorkerRate = assumedRate
