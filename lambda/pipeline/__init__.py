"""What AWS Lambda runs: images that arrive in a bucket are analysed, and what is seen in them is kept.

tagger        the handler: one S3 event in, records and JSON files out
tagging       the steps for one image, with every client passed in
rescan        the handler that has everything analysed that has no current record
rescanning    how such images are found
reporting     the log line and the metrics of each image
alerts        who is told when something certain is found
metering      what is asked of Rekognition: calls, throttles, price
settings      the environment variables of the function, checked at start
events        S3 events -> uploads worth analysing
images        an object: what S3 says of it, and its bytes
media         what a file is, by its content
preparing     its size, its preview, and its conversion where Rekognition would refuse it
plain_jpeg    a small JPEG as its own preview
rendering     pictures decoded and drawn anew: the only module that loads Pillow
videos        recognised, and refused until they are supported
analysis      all analysers of one image, side by side
analyzers     what each asks of Rekognition, and what its answer becomes
answers       what became of one analyser, and how it outlives an attempt
rekognition   which of the service's errors are final
deletes       what happens to an image whose object was removed
ordering      which of two events is the newer one, and what a claim may do
store         the table: claims and records
postings      where an image is found: the index table, written with the record
transactions  all or nothing in DynamoDB, tried again where that may help
catalogue     the read side: lists, searches, counts, page by page
records       the record, in DynamoDB's types
documents     the record, as a JSON file
previews      the small picture beside it
keys          where both lie
"""
