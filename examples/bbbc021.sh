#!/usr/bin/env bash
# BBBC021 from its published files to a score: ingest, train, embed, ask.
#
#   examples/bbbc021.sh FOLDER MOA.csv [options of `unidino train`]
#
# FOLDER holds BBBC021_v1_image.csv and the images; the lake is UNIDINO_LAKE or ./lake.
set -euo pipefail
folder=$1 annotation=$2
shift 2
unidino ingest "$folder" --layout bbbc021 --metadata "$annotation"
unidino train --model bbbc021_vit --recipe small "$@"
unidino embed --model bbbc021_vit --all
unidino sql "select compound, channel, count(*) as images, mean_vector(embedding) as mean
             from embedding join well using (plate, well) group by all order by all"
# Do wells of a compound find each other on other plates, controls included?
unidino score --not-same plate --label compound --include-controls --normalize none --json
