"""Names as they are written in the countries the demo org sells to, and telephone numbers nobody has."""

from typing import NamedTuple


class Place(NamedTuple):
    """How companies and people are named in a country, and where they are.

    Words may carry their Latin form after a bar. `phone` is a fictional range (set aside for drama by the
    country's regulator) with # for a digit; empty where the country has none.
    """

    country: str
    customers: int
    company: str
    words: str
    trades: str
    given: str
    family: str
    streets: str
    cities: str
    person: str = "{given} {family}"
    phone: str = ""


PLACES = (
    Place(
        "Germany",
        66,
        "{word} {trade} {legal:GmbH,GmbH,GmbH & Co. KG,AG,OHG,e.K.}",
        "Brandt,Größmann,Köhler,Nordlicht,Lindenhof,Schäfer,Weiß,Hübner,Jäger,Kranich,Elbtal,Süderkrug,Vogelsang,"
        "Böttcher,Rheinblick,Krüger,Möwe,Falkenried,Grünwald,Überlingen,Eschenbach,Löwe",
        "Möbel,Einrichtungen,Büroausstattung,Hotelbetriebe,Tischlerei,Raumkonzepte,Logistik,Architekten",
        "Jürgen,Anneliese,Bärbel,Günther,Lena,Maximilian,Sören,Käthe,Friederike,Jörg,Antje,Moritz",
        "Müller,Schröder,Großmann,Böhm,Kühn,Weiß,Scholz,Fuchs,Jäger,Lorenz,Busch,Königsmann",
        "Lindenstraße,Hauptstraße,Am Mühlgraben,Bahnhofstraße,Gänsemarkt,Schloßallee",
        "Berlin/Berlin/10115,Hamburg/Hamburg/20354,München/Bayern/80331,Köln/Nordrhein-Westfalen/50667,"
        "Düsseldorf/Nordrhein-Westfalen/40213,Görlitz/Sachsen/02826,Lübeck/Schleswig-Holstein/23552",
        phone="+49 30 23125 ###",
    ),
    Place(
        "Austria",
        10,
        "{word} {trade} {legal:GmbH,GmbH,KG}",
        "Höfler,Donauufer,Edelweiß,Bergmüller,Zäuner",
        "Wohnen,Hotellerie,Küchenstudio,Büro",
        "Theresia,Franz,Österliese,Johann",
        "Gruber,Höllerer,Pölzl,Steinböck",
        "Mariahilfer Straße,Kärntner Ring,Herrengasse",
        "Wien/Wien/1010,Graz/Steiermark/8010,Sölden/Tirol/6450",
    ),
    Place(
        "Switzerland",
        8,
        "{word} {trade} {legal:AG,SA,GmbH}",
        "Zürisee,Rütli,Genève-Lac,Matterblick",
        "Interieur,Meubles,Hotels",
        "Urs,Céline,Beat,Noëlle",
        "Brügger,Aebischer,Rüegg,Dürst",
        "Bahnhofstrasse,Rue du Rhône,Seefeldquai",
        "Zürich/ZH/8001,Genève/GE/1204,Neuchâtel/NE/2000",
    ),
    Place(
        "France",
        30,
        "{word} {trade} {legal:SARL,SAS,SA}",
        "Été Bleu,L'Œuvre,Chêne Doré,Beauséjour,La Forêt,Île Verte,Maison du Lys,Crêperie Zoé,Ça Va",
        "Mobilier,Intérieurs,Hôtellerie,Bureaux,Aménagement,Restauration",
        "François,Zoë,Anaïs,Rémi,Hélène,Benoît,Chloé,Thérèse",
        "Lefèvre,Bézier,D'Aubigné,Le Goff,Garçon,Maçon,Noël",
        "rue de l'Église,avenue des Champs,boulevard Saint-Michel,place de la Liberté",
        "Paris/Île-de-France/75011,Lyon/Auvergne-Rhône-Alpes/69002,Orléans/Centre/45000,Nîmes/Occitanie/30000",
        phone="+33 1 99 00 ## ##",
    ),
    Place(
        "United Kingdom",
        22,
        "{word} {trade} {legal:Ltd,Ltd,PLC,LLP}",
        "Ashdown,O'Malley,Brontë,Kingfisher,Stag & Sparrow,Whitby,St. Aldate,Foxglove",
        "Interiors,Offices,Hotels,Joinery,Schools,Workspaces",
        "Oliver,Siân,Amelia,Zoë,Fergus,Niamh",
        "O'Brien,Smythe-Jones,MacLeod,Hughes,Okafor,Patel",
        "High Street,Station Road,Mill Lane,King's Parade",
        "London/Greater London/EC1A 1BB,Bristol/Avon/BS1 4DJ,Edinburgh/Scotland/EH1 1YZ",
        phone="+44 20 7946 0###",
    ),
    Place(
        "United States",
        22,
        "{word} {trade} {legal:Inc,LLC,Corp}",
        "Cedar Point,Blue Heron,Niño & Daughters,Lakeshore,Red Canyon,Amberly,Hudson Yard,Piñon",
        "Workspaces,Hospitality,Furnishings,Libraries,Clinics",
        "Ashley,José,Marcus,Renée,Tyrone,Emily",
        "Johnson,Nuñez,O'Connor,Washington,Kowalski,Nguyen",
        "Main Street,5th Avenue,Sunset Boulevard,Elm Street",
        "Portland/OR/97201,Austin/TX/78701,Chicago/IL/60601,Albany/NY/12207",
        phone="+1 212-555-01##",
    ),
    Place(
        "Poland",
        16,
        "{word} {trade} {legal:Sp. z o.o.,S.A.,sp.j.}",
        "Żółw,Wisła,Świerk,Źródło,Ćma i Syn,Łabędź",
        "Meble,Wnętrza,Biura,Hotele",
        "Łukasz,Małgorzata,Żaneta,Paweł,Świętosława",
        "Wójcik,Kowalczyk,Żuławski,Dąbrowski,Święcicki",
        "ul. Świętokrzyska,ul. Piękna,al. Niepodległości",
        "Warszawa/mazowieckie/00-031,Łódź/łódzkie/90-001,Kraków/małopolskie/31-008",
    ),
    Place(
        "Japan",
        12,
        "株式会社{word}{trade}",
        "山田|yamada,桜|sakura,北斗|hokuto,富士見|fujimi,青葉|aoba,竹内|takeuchi",
        "家具|kagu,建築|kenchiku,旅館|ryokan",
        "太郎|taro,花子|hanako,健一|kenichi,美咲|misaki",
        "佐藤|sato,鈴木|suzuki,渡辺|watanabe,髙橋|takahashi",
        "千代田,本町,中央通り",
        "東京/東京都/100-0001,京都/京都府/600-8001,札幌/北海道/060-0001",
        person="{family} {given}",
    ),
    Place(
        "United Arab Emirates",
        8,
        "{trade} {word}",
        "النخيل|nakheel,الفجر|fajr,الصحراء|sahra,اللؤلؤة|luluah",
        "أثاث|athath,فنادق|fanadiq,مكاتب|makatib",
        "محمد|mohammed,فاطمة|fatima,يوسف|yousef",
        "الهاشمي|hashimi,المنصوري|mansoori,النعيمي|nuaimi",
        "شارع الشيخ زايد,شارع الخليج",
        "دبي/دبي/,أبو ظبي/أبو ظبي/",
    ),
    Place(
        "Vietnam",
        8,
        "{legal:Công ty TNHH,Công ty CP} {trade} {word}",
        "Hòa Bình,Sông Hồng,Đại Việt,Ánh Dương",
        "Nội Thất,Khách Sạn,Gỗ",
        "Thị Hương,Văn Đức,Minh Tuấn,Ngọc Ánh",
        "Nguyễn,Trần,Đặng,Võ",
        "Đường Lê Lợi,Phố Huế,Đường Nguyễn Huệ",
        "Hà Nội/Hà Nội/100000,Đà Nẵng/Đà Nẵng/550000",
        person="{family} {given}",
    ),
    Place(
        "Sweden",
        10,
        "{word} {trade} {legal:AB,AB,HB}",
        "Björk,Åre,Sjöstrand,Älvdalen",
        "Möbler,Inredning,Hotell",
        "Åsa,Björn,Göran,Linnéa",
        "Åkesson,Sjögren,Öberg,Lindström",
        "Storgatan,Kungsgatan,Östra Hamngatan",
        "Stockholm/Stockholms län/111 20,Malmö/Skåne/211 34,Göteborg/Västra Götaland/411 06",
        phone="+46 8 465 004 ##",
    ),
    Place(
        "Spain",
        10,
        "{word} {trade} {legal:S.L.,S.A.}",
        "Peñasol,El Ñandú,Corazón,La Higuera",
        "Muebles,Hoteles,Oficinas",
        "Íñigo,María José,Begoña,Ramón",
        "Muñoz,Ibáñez,Peña,García López",
        "Calle Mayor,Gran Vía,Paseo de la Peña",
        "Madrid/Madrid/28013,A Coruña/Galicia/15001,Málaga/Andalucía/29015",
    ),
    Place(
        "Greece",
        4,
        "{word} {trade} {legal:Α.Ε.|ae,Ε.Π.Ε.|epe}",
        "Αιγαίο|aigaio,Ελιά|elia",
        "Έπιπλα|epipla,Ξενοδοχεία|xenodocheia",
        "Γιώργος|giorgos,Ελένη|eleni",
        "Παπαδόπουλος|papadopoulos,Νικολάου|nikolaou",
        "Οδός Ερμού,Οδός Αθηνάς",
        "Αθήνα/Αττική/105 63,Θεσσαλονίκη/Μακεδονία/546 24",
    ),
)
"""The companies and private persons of each country; `parties.LEGENDS` holds the other 14."""
