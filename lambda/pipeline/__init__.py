"""What AWS Lambda runs: images that arrive in a bucket are analysed, and what is seen in them is kept.

tagger        the handler: one S3 event in, records and JSON files out
tagging       the steps for one image, with every client passed in
settings      the environment variables of the function, checked at start
events        S3 events -> uploads worth analysing
images        what S3 says of an object, and the size of the picture
rekognition   the analysers, and which of their errors are final
ordering      which of two events is the newer one, and what a claim may do
store         the table: claims and records
records       the record, in DynamoDB's types
documents     the record, as a JSON file
"""
